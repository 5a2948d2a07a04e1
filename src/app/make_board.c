#include "app/make_board.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/text.h"

static const char *const small_numbers[] = {"No", "One", "Two", "Three"};

enum board_health board_health_of(const struct cluster_status *cluster)
{
    if (cluster->voters_up * 2 <= cluster->voters) return BOARD_NO_MAJORITY;
    if (cluster->leader[0] == '\0') return BOARD_ELECTING;
    return cluster->voters_up == cluster->voters ? BOARD_OK : BOARD_DEGRADED;
}

size_t board_may_fail(const struct cluster_status *cluster)
{
    size_t majority = cluster->voters / 2 + 1, whole = 0;
    size_t spare = cluster->voters_up > majority ? cluster->voters_up - majority : 0;
    for (size_t i = 0; i < cluster->members_count; i++) {
        enum member_state state = cluster->members[i].state;
        whole += state != MEMBER_AWAY && state != MEMBER_CATCHING_UP;
    }
    if (whole <= spare) spare = whole > 0 ? whole - 1 : 0;
    return spare;
}

static void add(char out[BOARD_SENTENCE_MAX], const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void add(char out[BOARD_SENTENCE_MAX], const char *format, ...)
{
    va_list arguments;
    size_t len = strlen(out);
    va_start(arguments, format);
    vsnprintf(out + len, BOARD_SENTENCE_MAX - len, format, arguments);
    va_end(arguments);
}

/* Beside stand-bys "nodes" would say too much. */
static const char *voters_word(const struct cluster_status *cluster)
{
    return cluster->members_count > cluster->voters ? "voters" : "nodes";
}

static void add_how_many_are_up(char out[BOARD_SENTENCE_MAX], const struct cluster_status *cluster)
{
    size_t all = cluster->voters, up = cluster->voters_up, may_fail = board_may_fail(cluster);
    if (all == 1) {
        add(out, "Only one node has a vote. If it fails, the chat stops.");
    } else if (up == all) {
        add(out, "All %zu %s are up. %s%s may fail.", all, voters_word(cluster),
            may_fail == 0 ? "None" : "Any ",
            may_fail == 0   ? ""
            : may_fail == 1 ? "one"
            : may_fail == 2 ? "two"
                            : "three");
    } else if (may_fail == 0) {
        add(out, "%zu of %zu %s are up. No other may fail.", up, all, voters_word(cluster));
    } else {
        add(out, "%zu of %zu %s are up. %s more may fail.", up, all, voters_word(cluster),
            may_fail < 4 ? small_numbers[may_fail] : "Some");
    }
}

/* "tea-2 is catching up." */
static void add_who_catches_up(char out[BOARD_SENTENCE_MAX], const struct cluster_status *cluster)
{
    const char *name = NULL;
    size_t count = 0;
    for (size_t i = 0; i < cluster->members_count; i++) {
        if (cluster->members[i].state != MEMBER_CATCHING_UP) continue;
        name = cluster->members[i].name;
        count++;
    }
    if (count == 1) add(out, " %s is catching up.", name);
    if (count > 1) add(out, " %zu are catching up.", count);
}

void board_sentence(char out[BOARD_SENTENCE_MAX], const struct cluster_status *cluster)
{
    size_t all = cluster->voters, up = cluster->voters_up;
    out[0] = '\0';
    if (cluster->is_joining) {
        add(out, "This node is no member of the cluster yet%s%s",
            cluster->joining_note[0] ? ": " : ".", cluster->joining_note);
    } else if (cluster->is_forming) {
        add(out, "The cluster is being formed. Waiting for %s.",
            cluster->waiting_for[0] == '\0' ? "the others" : cluster->waiting_for);
    } else if (all == 0) { /* let in, and ended before its first entry */
        add(out, "This node was let in, and waits for the cluster to reach it.");
    } else if (all <= 1 && cluster->members_count <= 1) {
        add(out, "This is the only node. If it fails, the chat stops.");
    } else {
        switch (board_health_of(cluster)) {
        case BOARD_OK:
        case BOARD_DEGRADED:
            add_how_many_are_up(out, cluster);
            add_who_catches_up(out, cluster);
            return;
        case BOARD_ELECTING:
            add(out, "%zu of %zu %s are up. They are choosing a leader.", up, all,
                voters_word(cluster));
            return;
        case BOARD_NO_MAJORITY:
        default:
            add(out, "%zu of %zu %s %s up. Nothing can be sent until another is back.", up, all,
                voters_word(cluster), up == 1 ? "is" : "are");
            return;
        }
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

/* Against the highest number that anybody told. */
static void fill_behind(struct board *board, const struct cluster_status *cluster)
{
    uint64_t newest = board->number + cluster->behind;
    if (cluster->has_gap && cluster->gap.goal > newest) newest = cluster->gap.goal;
    for (size_t i = 0; i < board->nodes_count; i++)
        if (board->nodes[i].number > newest) newest = board->nodes[i].number;
    for (size_t i = 0; i < board->nodes_count; i++)
        board->nodes[i].behind = newest - board->nodes[i].number;
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

/* If of each room no more than so many are listed. */
static size_t count_people(const struct board_input *input, size_t room_max)
{
    size_t count = 0;
    for (size_t i = 0; i < input->shown_count; i++) {
        size_t here = presence_count(input->presence, input->shown[i]);
        count += here < room_max ? here : room_max;
    }
    return count;
}

/* How many of a room are listed: fewer where many rooms are shown, so that none is left out. */
static size_t room_people_max(const struct board_input *input)
{
    size_t room_max = PRESENT_MAX;
    while (room_max > 1 && count_people(input, room_max) > BOARD_PEOPLE_MAX)
        room_max /= 2;
    return room_max;
}

static void fill_people(struct board *board, const struct board_input *input, size_t room_max,
                        size_t max)
{
    struct present here[PRESENT_MAX];
    for (size_t i = 0; i < input->shown_count; i++) {
        struct slice room = input->shown[i];
        size_t all = presence_list(input->presence, room, here, room_max);
        size_t count = all < room_max ? all : room_max;
        for (size_t k = 0; k < count && board->people_count < max; k++) {
            struct board_person *person = &board->people[board->people_count++];
            *person = (struct board_person){.here = (uint32_t)all,
                                            .room_len = (uint8_t)room.len,
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
    size_t room_max = room_people_max(input), people = count_people(input, room_max);
    if (people > BOARD_PEOPLE_MAX) people = BOARD_PEOPLE_MAX;
    struct shared *bytes = board_new(people);
    struct board *board = board_fill(bytes);
    memset(board, 0, offsetof(struct board, people));

    board->version = input->version;
    board->made_at_ms = input->now_ms;
    board->number = input->chat->number;
    board->behind = cluster->is_ready ? 0 : cluster->behind;
    board->is_disk_full = cluster->is_disk_full;
    if (cluster->is_joining) board->door = BOARD_JOINING;
    if (cluster->has_gap) {
        board->door = BOARD_GAP;
        board->goal = cluster->gap.goal;
        board->behind = board->goal > board->number ? board->goal - board->number : 1;
    }
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
    fill_behind(board, cluster);
    for (size_t i = 0; i < input->events_count && i < CLUSTER_EVENTS_MAX; i++)
        fill_event(&board->events[board->events_count++], &input->events[i]);
    fill_people(board, input, room_max, people);

    memcpy(board->messages_per_second, input->messages_per_second,
           sizeof board->messages_per_second);
    memcpy(board->commit_p99_ms, input->commit_p99_ms, sizeof board->commit_p99_ms);
    memcpy(board->browsers, input->browsers_spark, sizeof board->browsers);
    memcpy(board->fsync_p99_ms, input->fsync_p99_ms, sizeof board->fsync_p99_ms);
    return bytes;
}
