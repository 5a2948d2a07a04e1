// A disk of its own for one directory, small enough to be filled: an ext4 in a file, mounted as a loop
// device. Needs root and loop devices; `SmallDisk.problem()` says what is missing.
//
//   const disk = SmallDisk.make(dir, 400);      // MiB; mounted at disk.path
//   disk.fillTo(100);                           // so many MiB are free now
//   disk.free();
//   disk.remove();
//
// It is unmounted when the test's process ends, whatever happens.
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';

const MiB = 1024 * 1024;

function run(program, args) {
  const { status, error, stderr } = spawnSync(program, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${program} ${args.join(' ')}: ${error?.message ?? stderr.trim()}`);
}

export class SmallDisk {
  /* Why there can be none here, or null. Tries it. */
  static problem(dir) {
    if (process.getuid() !== 0) return 'only root may mount';
    try {
      SmallDisk.make(path.join(dir, 'try'), 8).remove();
      return null;
    } catch (error) {
      return error.message;
    }
  }

  static make(dir, mebibytes) {
    const disk = new SmallDisk();
    disk.file = `${dir}.ext4`;
    disk.path = dir;
    fs.mkdirSync(dir, { recursive: true });
    fs.closeSync(fs.openSync(disk.file, 'w'));
    fs.truncateSync(disk.file, mebibytes * MiB);
    disk.onExit = () => disk.#unmount();
    process.prependListener('exit', disk.onExit); // before somebody removes what it is mounted on
    try {
      run('mkfs.ext4', ['-q', '-F', '-m', '0', disk.file]);
      run('mount', ['-o', 'loop', disk.file, dir]);
    } catch (error) {
      disk.remove();
      throw error;
    }
    disk.isMounted = true;
    return disk;
  }

  get freeBytes() {
    const { bavail, bsize } = fs.statfsSync(this.path);
    return bavail * bsize;
  }

  /* Takes space until so many MiB are free; 0: until nothing more can be written. */
  fillTo(mebibytes) {
    const ballast = path.join(this.path, 'ballast');
    for (let piece = 64 * MiB; piece >= 4096; piece = piece > 65536 ? piece / 4 : 4096) {
      let isTaken = true;
      while (isTaken && this.freeBytes - piece >= mebibytes * MiB) {
        const size = fs.existsSync(ballast) ? fs.statSync(ballast).size : 0;
        isTaken = spawnSync('fallocate', ['-o', String(size), '-l', String(piece), ballast]).status === 0;
      }
      if (piece === 4096) return;
    }
  }

  free() { fs.rmSync(path.join(this.path, 'ballast'), { force: true }); }

  /* The disk as it is now, in one piece; what is written meanwhile waits. */
  remember() {
    run('fsfreeze', ['--freeze', this.path]);
    try {
      run('cp', ['--sparse=always', this.file, `${this.file}.then`]);
    } finally {
      run('fsfreeze', ['--unfreeze', this.path]);
    }
  }

  /* As after a start of the machine: what was not flushed before the power went is gone; with `lie`, all since
   * `remember` is. */
  remount({ lie = false } = {}) {
    // What a process that has just ended had open may be let go a moment later.
    for (let tries = 1; ; tries++) {
      try {
        run('umount', [this.path]);
        break;
      } catch (error) {
        if (tries === 50 || !/busy/.test(error.message)) throw error;
        run('sleep', ['0.1']);
      }
    }
    if (lie) fs.renameSync(`${this.file}.then`, this.file);
    run('mount', ['-o', 'loop', this.file, this.path]);
  }

  #unmount() {
    if (this.isMounted) spawnSync('umount', ['-l', this.path]);
    this.isMounted = false;
  }

  remove() {
    this.#unmount();
    process.off('exit', this.onExit);
    fs.rmSync(this.file, { force: true });
    fs.rmSync(this.path, { recursive: true, force: true });
  }
}
