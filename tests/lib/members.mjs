// Changing the members of a running cluster, as an administrator does, through the API.
import assert from 'node:assert/strict';
import { deadline, pause, until } from './wait.mjs';

// Refusals that are none in a moment: somebody else leads, or was not heard for a second.
const passing = ['busy', 'behind', 'catching_up', 'change_running', 'not_healthy', 'not_ready', 'not_taken', 'transfer_running'];
export const passes = answer => answer.status === 503 || answer.status === 504 || passing.includes(answer.value?.error);

/* One change, at the node that leads now; again when that was over before the change was. Resolves to the
 * answer, whatever it is; `isUnknown` is in it when an earlier answer was that it may have been done. */
export async function change(cluster, method, where, body, { ms = 60_000 } = {}) {
  const until_ = performance.now() + deadline(ms);
  for (let isUnknown = false; ; await pause(100)) {
    const lost = error => ({ status: 504, value: null, text: error.message }); // with its answer
    const answer = await (await cluster.leader()).admin(method, where, body).catch(lost);
    if (!passes(answer) || performance.now() > until_) return { ...answer, isUnknown };
    isUnknown ||= answer.status === 504;
  }
}

/* Done, by this answer or by one that was lost: then it is refused as done already. */
const done = (answer, already) => {
  if (answer.isUnknown && answer.value?.error === already) return;
  assert.equal(answer.status, 200, answer.text);
};

/* Lets a node in that asks for it, and gives it a vote once it is level. */
export async function admit(cluster, node) {
  done(await change(cluster, 'POST', 'members', { name: node.name, address: node.address }));
  await promote(cluster, node);
  await node.ready(60_000);
}

/* Whatever it is refused for, for as long as that may change. */
export async function promote(cluster, node) {
  let isUnknown = false;
  await until(`${node.name} can be given a vote`, async () => {
    const answer = await change(cluster, 'POST', `members/${node.name}`, { role: 'voter' }, { ms: 10_000 });
    isUnknown ||= answer.isUnknown || answer.status === 504;
    done({ ...answer, isUnknown }, 'already_voter');
    return true;
  }, 60_000, 100);
}

export async function remove(cluster, name) {
  done(await change(cluster, 'DELETE', `members/${name}`), 'unknown_member');
}

const votersOf = ({ members }) => members.filter(member => member.role === 'voter').map(member => member.name).sort().join(' ');

/* Who votes, as one node says it. */
export const voters = async node => votersOf(await node.status());

/* Every member that runs names these voters, sooner or later: /status is a second old. */
export async function votersAre(cluster, names) {
  await until(`all nodes name the voters ${names}`, async () => {
    const all = await Promise.all(cluster.up.map(node => node.status()));
    const said = all.filter(status => status.node.joining === null).map(votersOf);
    if (said.every(one => one === names)) return true;
    throw new Error(said.join(' | '));
  }, 20_000);
}

export async function transferTo(cluster, node) {
  await until(`${node.name} leads`, async () => {
    const leader = await cluster.leader();
    if (leader === node) return true;
    const answer = await leader.admin('POST', 'transfer', { to: node.name });
    if (answer.status !== 200) throw new Error(`${answer.status} ${answer.text}`);
    return await cluster.leader() === node;
  }, 20_000, 100);
}

export const say = (node, room, text, id = text) => node.say(room, text, { id });
