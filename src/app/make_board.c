#include "app/make_board.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "base/text.h"

static const char *const small_numbers[] = {"No", "One", "Two", "Three"};

enum board_health board_health_of(const struct cluster_status *cluster)
{
    if (cluster->voters_up * 2 <= cluster->voters) return BOARD_NO_MAJORITY;
    if (cluster->leader[0] == '\0') return BOARD_ELECTING;
    return cluster->voters_up == cluster->voters ? BOARD_OK : BOARD_DEGRADED;
}

void board_sentence(char out[BOARD_SENTENCE_MAX], const struct cluster_status *cluster)
{
    size_t all = cluster->voters, up = cluster->voters_up;
    size_t may_fail = up > all / 2 ? up - all / 2 - 1 : 0;
    if (cluster->is_forming) {
        snprintf(out, BOARD_SENTENCE_MAX, "The cluster is being formed. Waiting for %s.",
                 cluster->waiting_for[0] == '\0' ? "the others" : cluster->waiting_for);
        return;
    }
    if (all <= 1) {
        snprintf(out, BOARD_SENTENCE_MAX, "This is the only node. If it fails, the chat stops.");
        return;
    }
    switch (board_health_of(cluster)) {
    case BOARD_OK:
        snprintf(out, BOARD_SENTENCE_MAX, "All %zu nodes are up. %s%s may fail.", all,
                 may_fail == 0 ? "None" : "Any ",
                 may_fail == 0   ? ""
                 : may_fail == 1 ? "one"
                 : may_fail == 2 ? "two"
                                 : "three");
        return;
    case BOARD_DEGRADED:
        if (may_fail == 0)
            snprintf(out, BOARD_SENTENCE_MAX, "%zu of %zu nodes are up. No other may fail.", up,
                     all);
        else
            snprintf(out, BOARD_SENTENCE_MAX, "%zu of %zu nodes are up. %s more may fail.", up, all,
                     may_fail < 4 ? small_numbers[may_fail] : "Some");
        return;
    case BOARD_ELECTING:
        snprintf(out, BOARD_SENTENCE_MAX, "%zu of %zu nodes are up. They are choosing a leader.",
                 up, all);
        return;
    case BOARD_NO_MAJORITY:
    default:
        snprintf(out, BOARD_SENTENCE_MAX,
                 "%zu of %zu nodes %s up. Nothing can be sent until another is back.", up, all,
                 up == 1 ? "is" : "are");
        return;
    }
}

/* Copies as much as fits, whole code points only, controls as blanks; returns the length. */
static uint8_t excerpt(char *out, size_t size, struct slice text)
{
    size_t len = text.len < size ? text.len : size;
    while (len > 0 && len < text.len && ((unsigned char)text.at[len] & 0xC0) == 0x80)
        len--;
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text.at[i];
        out[i] = c < 0x20 || c == 0x7f ? ' ' : text.at[i];
    }
    return (uint8_t)len;
}

static void fill_room(struct board_room *out, const struct chat_room *room,
                      const struct presence *presence)
{
    struct message_sent last;
    *out = (struct board_room){.messages = room->seq,
                               .last_number = room->last_number,
                               .last_at_ms = room->last_at_ms,
                               .name_len = room->name_len,
                               .here = (uint32_t)presence_count(presence, chat_room_name(room))};
    memcpy(out->name, room->name, room->name_len);
    if (room->last == NULL || event_decode(&last, shared_slice(room->last), NULL) != 0) return;
    out->sender_len = excerpt(out->sender, sizeof out->sender, last.sender);
    out->text_len = excerpt(out->text, sizeof out->text, last.text);
}

static void fill_node(struct board_node *out, const struct member_status *member,
                      const struct board_input *input)
{
    *out = (struct board_node){.is_self = member->is_self,
                               .is_known = member->known || member->is_self,
                               .number = member->number,
                               .browsers = member->browsers,
                               .disk_bytes = member->disk_bytes,
                               .uptime_ms = member->uptime_ms,
                               .away_ms = member->away_ms,
                               .rtt_ms = member->rtt_ms};
    memcpy(out->name, member->name, sizeof out->name);
    memcpy(out->address, member->address, sizeof out->address);
    memcpy(out->http, member->http, sizeof out->http);
    memcpy(out->version, member->version, sizeof out->version);
    switch (member->state) {
    case MEMBER_LEADER: out->role = BOARD_LEADER; break;
    case MEMBER_AWAY: out->role = BOARD_AWAY; break;
    case MEMBER_CATCHING_UP: out->role = BOARD_CATCHING_UP; break;
    case MEMBER_FOLLOWER:
    case MEMBER_CANDIDATE:
    default: out->role = member->is_voter ? BOARD_FOLLOWER : BOARD_STANDBY; break;
    }
    if (!member->is_self) return;
    out->number = input->chat->number;
    out->browsers = input->browsers;
    out->disk_bytes = input->disk_bytes;
    out->uptime_ms = input->uptime_ms;
}

static const char *const happened_sentences[] = {
    [CLUSTER_AWAY] = "Stopped answering",
    [CLUSTER_BACK] = "Answers again",
    [CLUSTER_LOST_LEADER] = "No longer leads",
    [CLUSTER_FORMED] = "The cluster was formed",
    [CLUSTER_TRANSFERRED] = "Handed leadership over",
    [CLUSTER_CATCHING_UP] = "Fetches messages that it missed",
    [CLUSTER_CAUGHT_UP] = "Has all messages again",
    [CLUSTER_ADDED] = "Was added as a stand-by",
    [CLUSTER_PROMOTED] = "Became a voter",
    [CLUSTER_REMOVED] = "Was removed",
    [CLUSTER_DISK_FULL] = "Its disk is full: takes nothing new",
    [CLUSTER_DISK_FREE] = "Has room on its disk again"};

static void fill_event(struct board_event *out, const struct cluster_event *event)
{
    char took[64] = "";
    *out = (struct board_event){.at_ms = event->at_ms};
    memcpy(out->node, event->node, sizeof out->node);
    if (event->kind != CLUSTER_ELECTED) {
        snprintf(out->sentence, sizeof out->sentence, "%s", happened_sentences[event->kind]);
        return;
    }
    if (event->took_ms > 0) {
        snprintf(took, sizeof took, ", %.1f s after the old one went silent",
                 (double)event->took_ms / 1000);
    }
    snprintf(out->sentence, sizeof out->sentence, "Elected leader for term %" PRIu64 "%s",
             event->term, took);
}

static size_t count_people(const struct board_input *input)
{
    size_t count = 0;
    for (size_t i = 0; i < input->shown_count; i++) {
        size_t here = presence_count(input->presence, input->shown[i]);
        count += here < PRESENT_MAX ? here : PRESENT_MAX;
    }
    return count < BOARD_PEOPLE_MAX ? count : BOARD_PEOPLE_MAX;
}

static void fill_people(struct board *board, const struct board_input *input, size_t max)
{
    struct present here[PRESENT_MAX];
    for (size_t i = 0; i < input->shown_count; i++) {
        struct slice room = input->shown[i];
        size_t count = presence_list(input->presence, room, here, PRESENT_MAX);
        if (count > PRESENT_MAX) count = PRESENT_MAX;
        for (size_t k = 0; k < count && board->people_count < max; k++) {
            struct board_person *person = &board->people[board->people_count++];
            *person = (struct board_person){.room_len = (uint8_t)room.len,
                                            .name_len = here[k].name_len,
                                            .is_typing = here[k].is_typing,
                                            .sender_id = here[k].sender_id};
            memcpy(person->room, room.at, room.len);
            memcpy(person->name, here[k].name, here[k].name_len);
        }
    }
}

struct shared *make_board(const struct board_input *input)
{
    const struct cluster_status *cluster = input->cluster;
    size_t people = count_people(input);
    struct shared *bytes = board_new(people);
    struct board *board = board_fill(bytes);
    memset(board, 0, offsetof(struct board, people));

    board->version = input->version;
    board->made_at_ms = input->now_ms;
    board->number = input->chat->number;
    board->behind = cluster->is_ready ? 0 : cluster->behind;
    board->health = board_health_of(cluster);
    board_sentence(board->sentence, cluster);
    memcpy(board->leader, cluster->leader, sizeof board->leader);
    snprintf(board->self, sizeof board->self, "%s", input->self);
    board->voters = (uint32_t)cluster->voters;
    board->voters_up = (uint32_t)cluster->voters_up;
    board->rooms_total = (uint32_t)input->chat->rooms_count;
    board->people_total = (uint32_t)presence_total(input->presence);

    const struct chat_room *room = input->chat->newest;
    for (; room != NULL && board->rooms_count < LIST_ROOMS_MAX; room = room->older)
        if (room->seq > 0) fill_room(&board->rooms[board->rooms_count++], room, input->presence);
    for (size_t i = 0; i < cluster->members_count; i++)
        fill_node(&board->nodes[board->nodes_count++], &cluster->members[i], input);
    for (size_t i = 0; i < input->events_count && i < CLUSTER_EVENTS_MAX; i++)
        fill_event(&board->events[board->events_count++], &input->events[i]);
    fill_people(board, input, people);

    memcpy(board->messages_per_second, input->messages_per_second,
           sizeof board->messages_per_second);
    memcpy(board->commit_p99_ms, input->commit_p99_ms, sizeof board->commit_p99_ms);
    memcpy(board->browsers, input->browsers_spark, sizeof board->browsers);
    memcpy(board->fsync_p99_ms, input->fsync_p99_ms, sizeof board->fsync_p99_ms);
    return bytes;
}
