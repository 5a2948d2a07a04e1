// The items of docs/security.md, and which tests try them; e2e/attacks.mjs checks that these tests exist
// and adds its own, whose names begin with the item's number.
import fs from 'node:fs';
import path from 'node:path';
import { top } from './cluster.mjs';

const http = (...names) => names.map(name => ['e2e/http.mjs', name]);
const live = (...names) => names.map(name => ['e2e/conformance.mjs', name]);
const port = (...names) => names.map(name => ['e2e/cluster_port.mjs', name]);
const frames = (...names) => names.map(name => ['e2e/ws_cases.mjs', name]);
const crowd = ['e2e/bad_clients.mjs', 'bad clients cost less'];
const unit = (module, ...names) => names.map(name => [`unit/test_${module}.c`, name]);

export const attackList = [
  ['S-1', 'foreign, missing or null Origin', live('§11.6 ')],
  ['S-2', 'an upgrade without the right csrf token', live('§11.65 ')],
  ['S-3', 'a cookie that was changed', [...http('(S-3)'), ...unit('token', 'one_wrong_bit_anywhere_is_noticed', 'no_part_of_a_token_is_one', 'tokens_age')]],
  ['S-4', 'attributes of the cookie', http('(S-4, S-9)')],
  ['S-5', 'a join with a session that is not one\'s own', [...live('§11.9 ', '§11.10 ', '§11.66 ', '§11.67 '), ...unit('token', 'tokens_age')]],
  ['S-6', 'a topic that was not rendered', live('§11.13 ', '§11.31 ')],
  ['S-7', 'a name or a room in the payload', []],
  ['S-8', 'scripts in messages and names', [...http('(S-8)'), ...live('§11.26 '), ['e2e/browser.mjs', '§11.60 '], ...unit('markdown', 'whatever_is_written_only_our_tags_come_out', 'only_harmless_schemes_become_links'), ['fuzz/fuzz_markdown.c', '']]],
  ['S-9', 'headers of answers', http('(S-4, S-9)')],
  ['S-10', 'texts of no or of too many characters', [...live('§11.25 ', '§11.28 ', '§11.29 '), ...http('bad input gets a clear error'), ...unit('chat', 'what_cannot_be_shown_is_refused')]],
  ['S-11', 'heads that are too large', [...http('(S-11)'), ...unit('http', 'too_much_is_refused_before_its_end')]],
  ['S-12', 'requests that two readers read differently', [...http('(S-12)'), ...unit('http', 'what_the_rfc_forbids_is_refused'), ...unit('conn', 'a_bad_request_gets_one_answer_and_the_end'), ['fuzz/fuzz_http.c', '']]],
  ['S-13', 'upgrades that are none', [...http('(S-13, S-19)'), ...unit('conn', 'a_handshake_that_is_wrong_is_refused')]],
  ['S-14', 'paths that lead out', http('(S-14)')],
  ['S-15', 'other methods', http('(S-15)')],
  ['S-16', 'frames that break the protocol', [...http('(S-16, S-17, S-18)'), ...frames('(S-16, S-17)'), ...unit('ws', 'what_is_wrong_ends_with_its_code'), ['fuzz/fuzz_ws.c', '']]],
  ['S-17', 'messages too long', [...http('(S-16, S-17, S-18)'), ...frames('(S-16, S-17)'), ...unit('ws', 'empty_fragments_without_end_cost_nothing'), crowd]],
  ['S-18', 'floods of control frames and of joins', [...http('(S-16, S-17, S-18)'), ...unit('ws', 'too_many_control_frames_in_a_second_end_it'), ...unit('conn', 'a_ping_flood_is_stopped', 'who_sends_many_messages_does_not_keep_others_waiting'), ...unit('channel', 'who_joins_or_patches_without_end_is_closed', 'who_is_refused_without_end_is_closed'), crowd]],
  ['S-19', 'compression that explodes', http('(S-13, S-19)')],
  ['S-20', 'odd JSON', [...live('§11.40 is closed'), ...unit('json', 'bad_texts_are_refused_with_a_place', 'depth_is_limited'), ['fuzz/fuzz_channel.c', ''], crowd]],
  ['S-21', 'clients that say too little', [...http('a head that trickles in', 'a socket that never joins'), ...unit('conn', 'deadlines_end_what_does_not_get_on', 'a_join_has_a_deadline'), crowd]],
  ['S-22', 'clients that do not read', [...live('§11.74 '), ...unit('conn', 'who_does_not_read_is_closed_with_4000', 'who_reads_nothing_for_long', 'who_reads_its_answer_too_slowly', 'for_one_slow_reader_too_many'), crowd]],
  ['S-23', 'too many connections', [...http('(S-23)'), ...unit('conn', 'too_many_connections_are_told_so', 'for_one_connection_too_many_the_longest_idle_goes', 'one_address_gets_no_more', 'a_network_of_ipv6_gets_no_more', 'out_of_descriptors'), ...unit('addresses', 'what_counts_of_an_address')]],
  ['S-24', 'too many messages', [...http('(S-24)', 'the API is limited for each name'), ...unit('chat', 'who_writes_too_fast')]],
  ['S-25', 'clients that are silent', [...unit('conn', 'a_join_has_a_deadline_and_silence_too'), ['e2e/heartbeat.mjs', '§11.64']]],
  ['S-26', 'other protocols, and connections that break off', [...port('S-26 '), ...unit('conn', 'a_connection_may_break_off_at_any_byte')]],
  ['S-27', 'orders for a terminal, in a log', [...http('(S-27, S-28)'), ...unit('log', 'no_fact_breaks_the_json', 'quoted_text_fits_and_is_closed')]],
  ['S-28', 'what errors tell', http('(S-27, S-28)')],
  ['S-29', 'the API as somebody else; forms of other sites', [...http('(S-29)', 'bad input gets a clear error')]],
  ['S-30', 'what is the administrator\'s', http('(S-30, S-31)', '(S-30)')],
  ['S-31', 'tokens that are none', [...http('(S-30, S-31)'), ...unit('admin', 'nothing_else_is_believed')]],
  ['S-40', 'a stranger on the cluster port', [...port('S-40 '), ...unit('rpc', 'who_does_not_know_the_secret_is_closed'), ['fuzz/fuzz_link.c', '']]],
  ['S-41', 'a node of another cluster', [...port('S-41 '), ...unit('rpc', 'who_is_no_member_of_this_cluster')]],
  ['S-42', 'frames of impossible lengths', [...port('S-42 '), ...unit('rpc', 'frames_of_impossible_lengths', 'a_frame_cut_at_any_byte'), ['fuzz/fuzz_node.c', ''], ['fuzz/fuzz_wire.c', '']]],
  ['S-43', 'a session that was recorded', [...port('S-43 '), ...unit('rpc', 'a_recorded_session_cannot_be_played_again')]],
  ['S-44', 'a node that was removed', [...port('S-44 '), ...unit('ask', 'the_verdict_follows_from_the_list_alone'), ['sim/test_members.c', 'a_removed_node_that_was_away_is_told_and_stays_away']]],
  ['S-45', 'commands that another node should not have let pass', [...port('S-45 '), ...unit('propose', 'commands_of_peers_are_judged_again'), ...unit('event', 'a_changed_command_is_refused_or_within_limits')]],
  ['S-50', 'secrets', unit('config', 'a_cluster_needs_a_secret_that_others_cannot_read')],
  ['S-51', 'the data directory', unit('data_dir', 'a_directory_that_others_can_read_is_refused', 'two_processes_cannot_use_it', 'another_nodes_directory_is_refused')],
  ['S-52', 'privileges', []],
  ['S-53', 'the systemd unit', []],
  ['S-54', 'how it is compiled', [['../scripts/check-hardening.sh', ''], ['../scripts/check-words.sh', '']]],
  ['S-55', 'a change of the secret', unit('token', 'an_old_secret_is_accepted_until_it_is_gone')],
].map(([item, what, where]) => ({ item, what, where }));

/* The tests of a file (a path below tests/) whose name has `words` in it, as "file: name"; with no words the
 * file itself. Of C the functions, of .mjs what is given to test and describe. */
export function findTests(file, words) {
  const where = path.join(top, 'tests', file);
  if (!fs.existsSync(where)) return [];
  const shown = file.startsWith('../') ? file.slice(3) : `tests/${file}`;
  if (words === '') return [shown];
  const text = fs.readFileSync(where, 'utf8');
  const names = file.endsWith('.c')
    ? [...text.matchAll(/^static void (\w+)\(void \*\*state\)/gm)].map(([, name]) => name)
    : [...text.matchAll(/\b(?:test|describe)\((['`])((?:\\.|(?!\1).)*)\1/g)].map(([, , name]) => name.replaceAll("\\'", "'"));
  const starts = /^S-\d+ $/.test(words);
  return names.filter(name => (starts ? name.startsWith(words) : name.includes(words))).map(name => `${shown}: ${name}`);
}
