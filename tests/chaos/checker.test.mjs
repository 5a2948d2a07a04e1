// The checker is tested first: a history in which all is well, and for every error it knows one in which just
// that happened. A test that cannot fail proves nothing.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { check, errorNames } from './checker.mjs';

/* Two clients, a1 and b1, in one room; three nodes; one page that only looks. Each change makes one thing wrong. */
function good() {
  let t = 0;
  const at = record => ({ t: t += 10, ...record });
  const send = (type, c, seq, more = {}) => at({ op: 'send', type, id: `${c}-${seq}`, c, seq, sub: c, n: 1, try: 1, ...more });
  const log = [[1, 'a1-1', 'tea'], [2, 'b1-1', 'tea'], [3, 'a1-2', 'tea'], [4, 'x-1', 'coffee'], [5, 'b1-2', 'tea'], [6, 'a1-4', 'tea']];
  return {
    log,
    records: [
      at({ op: 'mount', sub: 'a1', epoch: 1, n: 1, room: 'tea', log: [] }),
      at({ op: 'mount', sub: 'b1', epoch: 1, n: 1, room: 'tea', log: [] }),
      send('invoke', 'a1', 1), // 2
      at({ op: 'view', sub: 'a1', epoch: 1, number: 1, id: 'a1-1' }),
      send('ok', 'a1', 1, { number: 1 }), // 4
      at({ op: 'mount', sub: 's', epoch: 1, n: 2, room: 'tea', log: [[1, 'a1-1']] }), // 5
      send('invoke', 'b1', 1),
      at({ op: 'view', sub: 'b1', epoch: 1, number: 1, id: 'a1-1' }),
      at({ op: 'view', sub: 'b1', epoch: 1, number: 2, id: 'b1-1' }),
      send('ok', 'b1', 1, { number: 2 }), // 9
      at({ op: 'view', sub: 's', epoch: 1, number: 2, id: 'b1-1' }), // 10
      at({ op: 'nemesis', f: 'kill', type: 'start', n: [1], majority: true }), // 11
      send('invoke', 'a1', 2),
      send('info', 'a1', 2), // 13
      at({ op: 'unmount', sub: 'a1', epoch: 1 }),
      at({ op: 'nemesis', f: 'kill', type: 'stop', n: [1], majority: true }),
      at({ op: 'mount', sub: 'a1', epoch: 2, n: 2, room: 'tea', log: [[1, 'a1-1'], [2, 'b1-1'], [3, 'a1-2']], behind: true }), // 16
      send('invoke', 'a1', 2, { try: 2, n: 2 }),
      send('ok', 'a1', 2, { try: 2, n: 2, number: 3 }), // 18
      at({ op: 'level', sub: 'a1', epoch: 2 }), // 19
      send('invoke', 'x', 1, { sub: 'x' }),
      send('info', 'x', 1, { sub: 'x' }),
      send('invoke', 'a1', 3),
      send('fail', 'a1', 3), // 23
      at({ op: 'healed' }),
      send('invoke', 'x', 2, { sub: 'x' }),
      send('fail', 'x', 2, { sub: 'x' }),
      send('invoke', 'b1', 2),
      send('ok', 'b1', 2, { number: 5 }), // 28
      send('invoke', 'a1', 4),
      send('ok', 'a1', 4, { number: 6 }), // 30
      at({ op: 'view', sub: 'a1', epoch: 2, number: 5, id: 'b1-2' }),
      at({ op: 'view', sub: 'a1', epoch: 2, number: 6, id: 'a1-4' }),
      at({ op: 'mount', sub: 'b1', epoch: 2, n: 1, room: 'tea', log: [[3, 'a1-2'], [5, 'b1-2'], [6, 'a1-4']] }), // 33
      at({ op: 'view', sub: 's', epoch: 1, number: 3, id: 'a1-2' }), // 34
      at({ op: 'view', sub: 's', epoch: 1, number: 5, id: 'b1-2' }), // 35
      at({ op: 'view', sub: 's', epoch: 1, number: 6, id: 'a1-4' }), // 36
      send('invoke', 'x', 3, { sub: 'x' }),
      send('ok', 'x', 3, { sub: 'x', number: 7 }),
      ...[1, 2, 3].map(n => at({ op: 'final', n, log: [...log, [7, 'x-3', 'coffee']] })), // 39, 40, 41
    ],
  };
}

const namesOf = change => {
  const { records } = good();
  return Object.keys(check(change(records) ?? records).counts).sort();
};
const logs = (records, change) => records.filter(record => record.op === 'final').forEach(record => change(record.log));

test('a history in which all is well', () => {
  const { counts, errors, stats } = check(good().records);
  assert.deepEqual(errors, []);
  assert.deepEqual(counts, {});
  assert.deepEqual([stats.commands, stats.acked, stats.refused, stats.unknown, stats.unknownPresent, stats.retried], [9, 6, 2, 1, 1, 1]);
  assert.deepEqual(stats.faults, { kill: 1 });
  assert.equal(stats.recoveries[0].first, 70);
});

/* name -> the change that makes just this wrong */
const cases = {
  DIVERGED: r => { r[41].log[2] = [3, 'other']; },
  NOT_CONVERGED: r => { r[40].log.pop(); },
  NO_FINAL: r => { r[40].log = null; },
  LOG_ORDER: r => { // number 7 is left out
    logs(r, log => { log[6][0] = 8; });
    r[38].number = 8;
  },
  DUPLICATE: r => logs(r, log => log.push([8, 'x-1', 'coffee'])),
  GHOST: r => logs(r, log => log.push([8, 'nobody', 'coffee'])),
  FAIL_APPEARED: r => {
    r.splice(39, 0, ...r.slice(25, 27).map(record => ({ ...record, t: r[38].t, id: 'x-4', seq: 4 })));
    logs(r, log => log.push([8, 'x-4', 'coffee']));
  },
  SENDER_ORDER: r => r.forEach(record => { if (record.id === 'b1-1' && record.op === 'send') record.seq = 3; }),
  REALTIME_ORDER: r => { r.splice(12, 0, { t: r[11].t + 1, op: 'send', type: 'invoke', id: 'y-1', c: 'y', seq: 1, sub: 'b1', n: 1 },
    { t: r[11].t + 2, op: 'send', type: 'ok', id: 'y-1', c: 'y', seq: 1, sub: 'x', n: 1 }); logs(r, log => log.push([8, 'y-1', 'coffee'])); },
  LOST: r => r.splice(30, 0, { t: r[30].t, op: 'send', type: 'invoke', id: 'z-1', c: 'z', seq: 1, sub: 'b1', n: 1 },
    { t: r[30].t, op: 'send', type: 'ok', id: 'z-1', c: 'z', seq: 1, sub: 'b1', n: 1 }) && undefined,
  ACK_NUMBER: r => { r[9].number = 1; },
  ACK_CHANGED: r => r.splice(30, 0, { ...r[4], t: r[30].t, number: 2 }) && undefined,
  MOUNT_GAP: r => { r[33].log.splice(1, 1); },
  STALE_MOUNT: r => r.splice(37, 0, { t: r[37].t, op: 'mount', sub: 's', epoch: 2, n: 1, room: 'tea', log: [[2, 'b1-1'], [3, 'a1-2']] },
    ...r.slice(35, 37)) && undefined,
  NOT_YOUR_WRITES: r => { // it never saw its own, then begins without it
    const late = { t: r[33].t, op: 'view', sub: 'b1', epoch: 2 };
    r.splice(33, 1, { ...r[33], log: [[1, 'a1-1'], [2, 'b1-1'], [3, 'a1-2']] }, { ...late, number: 5, id: 'b1-2' }, { ...late, number: 6, id: 'a1-4' });
  },
  VIEW_DUPLICATE: r => r.splice(11, 0, { ...r[10] }) && undefined,
  VIEW_REORDER: r => r.splice(37, 0, { ...r[10] }) && undefined,
  VIEW_GAP: r => r.splice(34, 1) && undefined,
  VIEW_PHANTOM: r => r.splice(37, 0, { ...r[36], number: 99, id: 'z' }) && undefined,
  VIEW_MISMATCH: r => r.splice(37, 0, { ...r[36], id: 'z' }) && undefined,
  VIEW_STALLED: r => r.splice(36, 1) && undefined,
  NO_RECOVERY: r => { // the other two were served soon enough
    for (const record of r) if (record.op === 'send' && record.id === 'x-3' && record.type === 'ok') record.t += 60_000;
  },
};

test('every error has a history', () => assert.deepEqual(Object.keys(cases).sort(), Object.keys(errorNames).sort()));
for (const [name, change] of Object.entries(cases)) {
  test(`${name}: ${errorNames[name]}`, () => assert.deepEqual(namesOf(change), [name]));
}

test('a page that says it is catching up is held to what it shows when it no longer says so', () => {
  const change = isLevel => r => {
    r[16].log.splice(1); // behind: without what it had shown
    const views = [[2, 'b1-1'], [3, 'a1-2']].map(([number, id]) => ({ t: r[16].t, op: 'view', sub: 'a1', epoch: 2, number, id }));
    r.splice(3, 0, { ...r[7], t: r[3].t, sub: 'a1' });
    r.splice(4, 1);
    r.splice(10, 0, { t: r[10].t, op: 'view', sub: 'a1', epoch: 1, number: 2, id: 'b1-1' });
    const level = r.findIndex(record => record.op === 'level');
    r.splice(isLevel ? level : level + 1, 0, ...views);
  };
  assert.deepEqual(namesOf(change(true)), []);
  assert.deepEqual(namesOf(change(false)), ['STALE_MOUNT']);
});

test('an answer that never came is no recovery', () => assert.deepEqual(namesOf(r => { r[13].late = true; }), ['NO_RECOVERY']));
test('a fault after which nothing is accepted is no recovery', () => assert.deepEqual(namesOf(r => {
  r.find(record => record.op === 'nemesis').t -= 20_000;
}), ['NO_RECOVERY']));
test('where times are not judged late is no error, and never is one', () => {
  const change = isNever => {
    const { records } = good();
    records[13].late = true;
    for (const record of records) if (record.op === 'send' && record.id === 'x-3' && record.type === 'ok') record.t += 60_000;
    if (isNever) records.find(record => record.op === 'healed').t += 90_000;
    return Object.keys(check(records, { isTimed: false }).counts);
  };
  assert.deepEqual(change(false), []);
  assert.deepEqual(change(true), ['NO_RECOVERY']);
});
test('no history at all is found', () => assert.deepEqual(namesOf(r => r.filter(record => record.op !== 'final')), ['NO_FINAL']));
