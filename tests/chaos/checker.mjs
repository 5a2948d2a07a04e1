// Holds what clients and pages saw against what the nodes have in the end. One pass over the history for the
// promises to writers, one for the pages; nothing is searched twice.
//
// A history is a list of records in the order in which they happened, `t` in ms of one monotonic clock:
//
//   {t, op: 'send', type: 'invoke'|'ok'|'info'|'fail', id, c, seq, sub, n, try, number?, late?}
//        one try of a command: begun; accepted (with its number if the page shows it); unknown; refused.
//        c: the client's name, seq: its commands counted up; sub: its page. late: no answer in time
//   {t, op: 'mount', sub, epoch, n, room, log: [[number, id]...], behind}    what a page shows at first
//   {t, op: 'level', sub, epoch}                    it stopped saying that its node is catching up
//   {t, op: 'view', sub, epoch, number, id}         one message more
//   {t, op: 'unmount', sub, epoch}                  its connection is gone
//   {t, op: 'nemesis', f, type: 'start'|'stop', n: [...], majority}     majority: writes must go on
//   {t, op: 'healed'}                               no fault any more
//   {t, op: 'final', n, log: [[number, id, room]...] | null}            a node's own history; null: none
//
// An error is {name, text}; errorNames says what each means.

export const errorNames = {
  DIVERGED: 'two nodes have different events under one number',
  NOT_CONVERGED: 'a node has fewer events than another, long after the last fault',
  NO_FINAL: 'a node gave no history at the end',
  LOG_ORDER: 'the numbers do not rise by one',
  DUPLICATE: 'a command was executed twice',
  GHOST: 'an event that nobody sent',
  FAIL_APPEARED: 'a refused command was executed',
  SENDER_ORDER: 'one sender\'s commands were executed in another order',
  REALTIME_ORDER: 'a command stands before one that had been accepted before it was sent',
  LOST: 'an accepted command is gone',
  ACK_NUMBER: 'an accepted command has another number than its sender was told',
  ACK_CHANGED: 'a command was accepted twice, with two numbers',
  MOUNT_GAP: 'a page began with a hole',
  STALE_MOUNT: 'a page began with less than it had shown before',
  NOT_YOUR_WRITES: 'a page began without what its own sender had been promised',
  VIEW_DUPLICATE: 'a page showed a message again',
  VIEW_REORDER: 'a page went back',
  VIEW_GAP: 'a page left a message out',
  VIEW_PHANTOM: 'a page showed what is not in the history',
  VIEW_MISMATCH: 'a page showed another message under that number',
  VIEW_STALLED: 'a page did not show the last message at the end',
  NO_RECOVERY: 'somebody who could have been served was not, for too long',
};

const RECOVERY_MAX_MS = 10_000;
export const buckets = [50, 100, 250, 500, 1000, 2000, 5000, 10_000];

const quantile = (sorted, q) => (sorted.length === 0 ? 0 : sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))]);

/* The longest of the final logs, and what is wrong with the others against it. */
function reference(history, fail) {
  const finals = history.filter(record => record.op === 'final');
  const longest = finals.reduce((best, { log }) => (log && log.length > best.length ? log : best), []);
  for (const { n, log } of finals) {
    if (!log) {
      fail('NO_FINAL', `node ${n}`);
      continue;
    }
    const at = log.findIndex(([number, id], i) => number !== longest[i][0] || id !== longest[i][1]);
    if (at >= 0) fail('DIVERGED', `node ${n} has ${log[at].slice(0, 2)} where another has ${longest[at].slice(0, 2)}`);
    else if (log.length < longest.length) fail('NOT_CONVERGED', `node ${n} ends at ${log.length} of ${longest.length}`);
  }
  if (finals.length === 0) fail('NO_FINAL', 'any node');
  return longest;
}

/* What became of every command, as its sender saw it. Keeps the order of first sending. */
function commandsOf(history, numberOf, isTimed, fail) {
  const commands = new Map();
  let floor = 0; // the greatest number that somebody had been told by now
  for (const record of history) {
    if (record.op !== 'send') continue;
    const { id, t, type, c, seq, sub } = record;
    let command = commands.get(id);
    if (!command) commands.set(id, command = { id, c, seq, sub, t, floor, tries: 0, isAcked: false, isRefused: false, number: undefined });
    if (type === 'invoke') command.tries++;
    if (type === 'fail') command.isRefused = true;
    if (type === 'info' && record.late && isTimed) fail('NO_RECOVERY', `node ${record.n} left ${id} without any answer`);
    if (type !== 'ok') continue;
    if (record.number !== undefined) {
      if (command.number !== undefined && command.number !== record.number) {
        fail('ACK_CHANGED', `${id} was accepted as ${command.number} and as ${record.number}`);
      }
      command.number ??= record.number;
    }
    if (!command.isAcked) command.ackedAt = t;
    command.isAcked = true;
    floor = Math.max(floor, record.number ?? numberOf.get(id) ?? 0);
  }
  return commands;
}

function checkLog(log, commands, fail) {
  const seen = new Map(), lastSeq = new Map();
  log.forEach(([number, id], at) => {
    if (at > 0 && number !== log[at - 1][0] + 1) fail('LOG_ORDER', `${number} follows ${log[at - 1][0]}`);
    if (seen.has(id)) {
      fail('DUPLICATE', `${id} has the numbers ${seen.get(id)} and ${number}`);
      return;
    }
    seen.set(id, number);
    const command = commands.get(id);
    if (!command) {
      fail('GHOST', `number ${number} is ${id}`);
      return;
    }
    if (command.isRefused) fail('FAIL_APPEARED', `${id} was refused and is number ${number}`);
    if (command.seq <= (lastSeq.get(command.c) ?? -Infinity)) fail('SENDER_ORDER', `${id} stands behind ${command.c}'s ${lastSeq.get(command.c)}`);
    lastSeq.set(command.c, command.seq);
    if (number <= command.floor) fail('REALTIME_ORDER', `${id} is number ${number}, and ${command.floor} had been accepted before it was sent`);
  });
  for (const { id, isAcked, number } of commands.values()) {
    if (!isAcked) continue;
    if (!seen.has(id)) fail('LOST', id);
    else if (number !== undefined && seen.get(id) !== number) fail('ACK_NUMBER', `${id} was accepted as ${number} and is ${seen.get(id)}`);
  }
}

/* Every page against the events of its room. */
function checkPages(history, log, numberOf, fail) {
  const rooms = new Map(); // room -> how many events
  const placeOf = new Map(); // number -> {room, rank, id}
  for (const [number, id, room = ''] of log) {
    const rank = rooms.get(room) ?? 0;
    rooms.set(room, rank + 1);
    placeOf.set(number, { room, rank, id });
  }
  const pages = new Map();
  const known = (page, number, id) => {
    const place = placeOf.get(number);
    if (!place || place.room !== page.room) fail('VIEW_PHANTOM', `${page.sub} showed ${number}, ${id}`);
    else if (place.id !== id) fail('VIEW_MISMATCH', `${page.sub} showed ${id} as ${number}, which is ${place.id}`);
    else return place.rank;
    return null;
  };
  const checkForward = page => {
    if (page.last < page.mustShow) fail('STALE_MOUNT', `${page.sub} had shown ${page.mustShow} and began again with ${page.last}`);
    else if (page.last < page.mustOwn) fail('NOT_YOUR_WRITES', `${page.sub} had been promised ${page.mustOwn} and began with ${page.last}`);
  };

  function mount(record) {
    const before = pages.get(record.sub);
    const isSameRoom = before?.room === (record.room ?? '');
    const page = { sub: record.sub, epoch: record.epoch, room: record.room ?? '', last: 0, rank: -1,
                   seen: isSameRoom ? before.seen : 0, own: before?.own ?? 0, behind: record.behind ?? false, isOpen: true };
    page.mustShow = page.seen;
    page.mustOwn = isSameRoom ? page.own : 0;
    pages.set(record.sub, page);
    let isFirst = true;
    for (const [number, id] of record.log) {
      const rank = known(page, number, id);
      if (rank === null) continue;
      if (!isFirst && rank !== page.rank + 1) fail('MOUNT_GAP', `${page.sub} began with ${page.last} and ${number} side by side`);
      isFirst = false;
      page.rank = rank;
      page.last = number;
    }
    if (!page.behind) checkForward(page);
    page.seen = Math.max(page.seen, page.last);
  }

  function view({ sub, number, id }) {
    const page = pages.get(sub);
    const rank = known(page, number, id);
    if (rank === null) return;
    const step = rank - page.rank;
    const what = `${sub} showed ${number} after ${page.last}`;
    if (step === 0) fail('VIEW_DUPLICATE', what);
    else if (step < 0) fail('VIEW_REORDER', what);
    else if (step > 1) fail('VIEW_GAP', what);
    if (step <= 0) return;
    page.rank = rank;
    page.last = number;
    page.seen = Math.max(page.seen, number);
  }

  for (const record of history) {
    const page = pages.get(record.sub);
    if (record.op === 'mount') mount(record);
    else if (record.op === 'view') view(record);
    else if (record.op === 'level' && page) {
      page.behind = false;
      checkForward(page);
    } else if (record.op === 'unmount' && page) page.isOpen = false;
    else if (record.op === 'send' && record.type === 'ok' && page) {
      page.own = Math.max(page.own, record.number ?? numberOf.get(record.id) ?? 0);
    }
  }
  for (const { sub, room, rank, last, isOpen } of pages.values()) {
    const count = rooms.get(room) ?? 0;
    if (!isOpen) fail('VIEW_STALLED', `${sub} has no connection at the end`);
    else if (rank + 1 < count) fail('VIEW_STALLED', `${sub} shows ${last} last, ${count - rank - 1} more came`);
  }
}

/* From a moment on: when the first was accepted that was first sent after it, for all and for each page. */
function firstAfter(commands, since, until = Infinity) {
  let first = Infinity;
  const bySub = new Map();
  for (const { t, ackedAt, sub } of commands) {
    if (t < since || ackedAt === undefined || ackedAt > until) continue;
    first = Math.min(first, ackedAt - since);
    bySub.set(sub, Math.min(bySub.get(sub) ?? Infinity, ackedAt - since));
  }
  return { first, bySub };
}

function checkTimes(history, commands, limit, fail) {
  const faults = history.filter(record => record.op === 'nemesis');
  const subs = new Set(commands.map(command => command.sub));
  const recoveries = [];
  const open = new Map();
  const healed = history.find(record => record.op === 'healed');
  for (const record of faults) {
    const { f, type, t, majority, leader = false } = record;
    if (type === 'start') open.set(f, record);
    // Where a majority was left, writes go on under the fault; else they come back when it is over.
    if (majority === false ? type !== 'stop' : type !== 'start') continue;
    const { first, bySub } = firstAfter(commands, t);
    const worst = Math.max(...[...subs].map(sub => bySub.get(sub) ?? Infinity));
    recoveries.push({ f, first, worst, leader, majority: majority !== false });
    if (first > limit) fail('NO_RECOVERY', `${f} at ${Math.round(t)}: nothing new was accepted for ${Math.round(first)} ms`);
  }
  if (healed) {
    const { bySub } = firstAfter(commands, healed.t);
    for (const sub of subs) {
      const ms = bySub.get(sub) ?? Infinity;
      if (ms > limit) fail('NO_RECOVERY', `${sub} got nothing accepted for ${Math.round(ms)} ms after the last fault`);
    }
  }
  const acks = commands.filter(command => command.isAcked).map(command => command.ackedAt).sort((a, b) => a - b);
  const silence = acks.reduce((worst, t, i) => Math.max(worst, i === 0 ? 0 : t - acks[i - 1]), 0);
  return { recoveries, silence };
}

/* {errors: [{name, text}], counts: {NAME: n}, stats}. Not `isTimed`, for machines that have other things to do: late is
 * no error, never is. */
export function check(history, { isTimed = true } = {}) {
  const errors = [], counts = {};
  const fail = (name, text) => {
    counts[name] = (counts[name] ?? 0) + 1;
    if (counts[name] <= 20) errors.push({ name, text });
  };
  const log = reference(history, fail);
  const numberOf = new Map();
  for (const [number, id] of log) if (!numberOf.has(id)) numberOf.set(id, number);
  const commands = commandsOf(history, numberOf, isTimed, fail);
  if (!counts.NO_FINAL || log.length > 0) { // else there is nothing to hold them against
    checkLog(log, commands, fail);
    checkPages(history, log, numberOf, fail);
  }
  const all = [...commands.values()];
  const { recoveries, silence } = checkTimes(history, all, isTimed ? RECOVERY_MAX_MS : Number.MAX_VALUE, fail);

  const acked = all.filter(command => command.isAcked);
  const refused = all.filter(command => command.isRefused);
  const unknown = all.filter(command => !command.isAcked && !command.isRefused);
  const waits = acked.map(command => command.ackedAt - command.t).sort((a, b) => a - b);
  const faults = {};
  for (const { op, type, f } of history) if (op === 'nemesis' && type === 'start') faults[f] = (faults[f] ?? 0) + 1;
  return { errors, counts, stats: {
    commands: all.length, acked: acked.length, refused: refused.length, unknown: unknown.length,
    unknownPresent: unknown.filter(({ id }) => numberOf.has(id)).length, events: log.length,
    retried: all.filter(command => command.tries > 1).length,
    lost: counts.LOST ?? 0, twice: counts.DUPLICATE ?? 0,
    gaps: (counts.VIEW_GAP ?? 0) + (counts.MOUNT_GAP ?? 0),
    reorders: (counts.VIEW_REORDER ?? 0) + (counts.SENDER_ORDER ?? 0) + (counts.REALTIME_ORDER ?? 0),
    waits, p50: quantile(waits, 0.5), p99: quantile(waits, 0.99), max: waits.at(-1) ?? 0,
    mounts: history.filter(record => record.op === 'mount').length,
    views: history.filter(record => record.op === 'view').length,
    faults, recoveries, silence } };
}
