// Waiting for something to become true, and for nothing else: no test sleeps for a guessed time.

export const slow = process.env.LIVETEA_SLOW === '1'; // a sanitizer build

// A deadline that fits an optimised build, longer where sanitizers make everything slower.
export const deadline = ms => (slow ? ms * 4 : ms);

export const pause = ms => new Promise(resolve => setTimeout(resolve, ms));

/* Asks `look` again and again until it returns something true, and returns that. Throws with `what`,
 * and with what `look` last returned or threw, when `ms` are over. */
export async function until(what, look, ms = 10_000, every = 25) {
  const end = performance.now() + deadline(ms);
  let last;
  for (;;) {
    try {
      last = await look();
      if (last) return last;
    } catch (error) {
      last = error;
    }
    if (performance.now() > end) {
      const seen = last instanceof Error ? last.message : JSON.stringify(last);
      throw new Error(`waited ${deadline(ms)} ms in vain until ${what}; last: ${seen}`);
    }
    await pause(every);
  }
}

/* `promise`, but no longer than `ms`. */
export function within(what, promise, ms = 10_000) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no ${what} within ${deadline(ms)} ms`)), deadline(ms));
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}
