/* Every limit of Live Tea, in one place, and how they lean on one another. */
#pragma once
#include <assert.h>
#include <stdint.h>

enum {
    /* the domain */
    CHAT_TEXT_MAX = 16 * 1024, /* bytes in one message */
    CHAT_TEXT_CODE_POINTS_MAX =
        4000,                  /* and code points; the setting chat.message_max is at most that */
    NAME_CODE_POINTS_MAX = 40, /* in a person's name */
    NAME_MAX_BYTES = 4 * NAME_CODE_POINTS_MAX,
    ROOM_CODE_POINTS_MAX = 64, /* in a room's name */
    ROOM_MAX = 192,            /* bytes */
    COMMAND_KEY_MAX = 64,      /* bytes of a command id that is no UUID */
    WINDOW_EVENTS = 1 << 17,   /* ids of the last events that apply looks among */
    RUN_MAX = 20,              /* messages of one sender without a new head */
    RUN_GAP_MS = 5 * 60 * 1000,

    /* one raft entry */
    BATCH_COMMANDS_MAX = 256,
    BATCH_BYTES_MAX = 256 * 1024,
    COMMANDS_WAITING_MAX = 8192, /* in one node: queued, in flight or forwarded */

    /* reading */
    TAIL_MIN = 50,                 /* messages of a room's first page */
    TAIL_MAX = 200,                /* messages of a shown room kept in RAM */
    TAIL_LOADS_RUNNING_MAX = 2,    /* rooms whose newest messages are being read from the store, */
    TAIL_LOADS_WAITING_MAX = 4096, /* and that wait for it; then pages of other rooms are refused */
    READS_MAX = 256,               /* other reads that a web thread has under way, */
    READS_RUNNING_MAX = 2,         /* of which so many run, */
    READS_PER_ADDRESS_MAX = 32,    /* and that are of one address; beyond that it is told busy */
    POOL_OTHERS = 6,               /* threads of libuv's pool that those never take */
    ROOMS_IDLE_MAX = 256,          /* rooms that a web thread keeps though nobody is in them */
    PAGE_MESSAGES = 50,            /* messages of one page of history */
    LIST_ROOMS_MAX = 200,          /* rooms in the list on the home page */
    SIDEBAR_ROOMS_MAX = 50,        /* and beside a room */
    PRESENT_MAX = 50,              /* names shown in a room */
    PRESENCE_ENTRIES_MAX = 2000,   /* told to the other nodes, by one node */
    API_MESSAGES_MAX = 500,
    API_WAIT_MAX_MS = 30 * 1000,

    /* logs */
    LOG_LINE_MAX = 8 * 1024, /* bytes; what is longer is cut */
    LOG_REPEATS_MAX = 5,     /* the same words from one thread in LOG_REPEATS_MS; then a count */
    LOG_REPEATS_MS = 10 * 1000,
    LOG_REPEATS_WATCHED = 16, /* different words that a thread keeps count of */

    /* the event store */
    STORE_BATCH_EVENTS = 4096,          /* make a commit, */
    STORE_BATCH_EVENTS_MAX = 32 * 1024, /* or so many when more are waiting already, */
    STORE_BATCH_MS = 50,                /* or whatever there is then */
    STORE_FULL_RETRY_MS = 500,          /* no room on its disk: tries again */
    STORE_READERS_MAX = 126,

    /* browsers */
    HTTP_LINE_MAX = 8 * 1024,
    HTTP_HEAD_MAX = 16 * 1024,
    HTTP_HEADERS_MAX = 64,
    HTTP_BODY_MAX = 64 * 1024,
    HTTP_HEAD_DEADLINE_MS = 10 * 1000,
    HTTP_IDLE_MS = 60 * 1000,       /* between two requests of a kept connection */
    HTTP_ANSWER_MAX_MS = 40 * 1000, /* not answered by then: 504, it is not known what was done */
    WS_JOIN_DEADLINE_MS = 15 * 1000,
    WS_PING_EVERY_MS = 30 * 1000,
    WS_SILENCE_MAX_MS = 90 * 1000,
    WS_MESSAGE_MAX = 64 * 1024, /* bytes in one message from a browser */
    WS_CONTROL_PER_SECOND_MAX = 50,
    WS_CLOSE_MS = 1000,                  /* for the other side to answer our close */
    CONN_OUT_MAX = 1024 * 1024,          /* bytes held for a slow browser before it is closed */
    CONN_OUT_FRAMES_MAX = 256,           /* and frames */
    CONN_STALLED_MS = 30 * 1000,         /* without progress */
    ANSWER_BYTES_PER_S_MIN = 16 * 1024,  /* of an HTTP answer, once CONN_STALLED_MS are over */
    ANSWERS_HELD_MAX = 64 * 1024 * 1024, /* bytes that a web thread holds for slow readers */
    RESPONSE_MAX = 4 * 1024 * 1024,
    JOINS_PER_TURN_MAX = 64,
    CHANNEL_JOINS_MAX = 100, /* joins, and live patches to elsewhere, of one connection at once, */
    CHANNEL_JOIN_EVERY_MS = 200, /* and one more after so long; who wants more is closed */
    REF_MAX = 32,                /* bytes of a ref or join_ref */
    TOPIC_MAX = 64,
    EVENTS_PENDING_MAX = 16, /* of one view: answered later */
    JSON_DEPTH_MAX = 16,
    JSON_TEXT_MAX = 8 * 1024 * 1024, /* bytes of one JSON text, from anywhere */
    PARAMS_MAX = 64,                 /* fields in one form */
    SEEN_HOLD_MS = 2000,             /* a join waits so long for what its page has seen, */
    REACH_WAITING_MAX = 16 * 1024,   /* so many of a node; one more hears that it is behind */
    TOKEN_MAX = 1024,
    TOKEN_AGE_MAX_S = 14 * 24 * 3600,
    COOKIE_AGE_S = 365 * 24 * 3600,

    /* the cluster */
    PEERS_MAX = 7,    /* founders, and voters */
    MEMBERS_MAX = 14, /* voters and stand-bys together */
    NODE_NAME_MAX = 32,
    ADDRESS_MAX = 255, /* host:port */
    URL_MAX = 255,
    RPC_FRAME_MAX = 8 * 1024 * 1024,
    RPC_OUT_MAX = 16 * 1024 * 1024, /* bytes held for a slow node before its link is closed */
    LINK_DEADLINE_MS = 1000,        /* connect and handshake */
    LINK_HALF_OPEN_MAX = 128,       /* callers that have proved nothing yet */
    FORWARD_DEADLINE_MS = 10 * 1000,
    NO_LEADER_WAIT_MAX_MS = 5 * 1000, /* a command waits for a leader */
    BARRIER_DEADLINE_MS = 5 * 1000,
    BARRIERS_WAITING_MAX = 4096,         /* on the leader, of all nodes */
    LOG_BYTES_MAX = 64 * 1024 * 1024,    /* of entries between two snapshots, and behind one */
    GAP_BYTES_MAX = 64 * 1024 * 1024,    /* of entries that wait for missing events below them */
    BACKFILL_CHUNK_BYTES = 1024 * 1024,  /* of events in one frame */
    BACKFILL_LAG_MAX = 32 * 1024 * 1024, /* so much waits for the store's disk: ask for no more */
    BACKFILL_REPLY_MS = 2000,            /* a peer that is silent for so long is left for another */
    ASK_EVERY_MS = 500,                  /* a node that is no member (any more) asks who it is */
    ASKERS_MAX = 32,                     /* nodes that ask to join, remembered by each member */
    CHANGE_DEADLINE_MS = 30 * 1000,      /* one change of the members */
    PROMOTE_BEHIND_MAX = 1000,           /* events that a stand-by may be behind to be promoted */
    DRAIN_DEFAULT_MS = 30 * 1000,        /* browsers that do not go are left behind after so long */
    DRAIN_MAX_MS = 5 * 60 * 1000,
    DRAINS_HELD_MAX = 16, /* of a web thread: callers that wait for the process's end */
    STOP_MAX_S = 20,      /* once browsers are gone or left behind: the process ends by then */
    BACKUP_ANSWER_BYTES = 2 * 1024 * 1024,  /* of events in one answer */
    PROPOSE_BYTES_MAX = 64 * 1024 * 1024,   /* of commands that a leader has queued or in flight */
    STORE_LAG_BYTES_MAX = 64 * 1024 * 1024, /* of events that wait for the event store's disk */
    STORE_STUCK_MS = 2000,                  /* so much waits, and nothing moves: no leader */
    COMMIT_STILL_MAX_MS = 10 * 1000,    /* something is committed and not applied: the node ends */
    LOG_STILL_LEADER_MS = 5 * 1000,     /* an append has not ended, nor any other: no leader */
    LOG_STILL_MAX_MS = 30 * 1000,       /* and for so long: who follows ends */
    LOG_STILL_BYTES_PER_S = 256 * 1024, /* more for each byte that is being written: a slow disk */
    DISK_FREE_LOW = 200 * 1024 * 1024,  /* below it a leader hands over, */
    DISK_LOW_TRIES_MAX = 8,             /* one try a second until somebody takes it */
    DISK_FREE_MIN = 50 * 1024 * 1024,   /* below that a node takes nothing, */
    DISK_FREE_AGAIN = 66 * 1024 * 1024, /* until there is so much again */
    CLUSTER_EVENTS_MAX = 50,            /* remembered for /cluster */
    LISTS_EVERY_MS = 1000 /* what changes with every message goes out so often at most */
};

/* Bytes of address space for the event store in commands that open one without a configuration; valgrind has less
 * of it. */
#ifndef STORE_MAP_DEFAULT
#define STORE_MAP_DEFAULT (UINT64_C(256) << 30)
#endif

static_assert(WS_MESSAGE_MAX > 3 * CHAT_TEXT_MAX, "each byte may come as %XX");
static_assert(CONN_OUT_MAX >= 8 * WS_MESSAGE_MAX, "a whole page must fit");
static_assert(BATCH_BYTES_MAX > CHAT_TEXT_MAX + 4096, "one message always fits an entry");
static_assert(CHANGE_DEADLINE_MS + 5000 <= HTTP_ANSWER_MAX_MS, "a change is told how it ended");
static_assert(BACKUP_ANSWER_BYTES + CHAT_TEXT_MAX + 4096 < RESPONSE_MAX, "a portion is an answer");
static_assert(ANSWERS_HELD_MAX >= 4 * RESPONSE_MAX, "who reads fast is not ended for the slow");
static_assert(RPC_OUT_MAX >= 2 * RPC_FRAME_MAX, "a link holds at least one whole frame");
static_assert(BACKFILL_CHUNK_BYTES + CHAT_TEXT_MAX + 4096 < RPC_FRAME_MAX, "a chunk fits a frame");
static_assert(BACKFILL_LAG_MAX < STORE_LAG_BYTES_MAX, "backfill alone never stops the log");
static_assert(LOG_STILL_LEADER_MS < LOG_STILL_MAX_MS, "first leadership goes, then the node");
static_assert(TAIL_MAX >= TAIL_MIN && TAIL_MIN >= PAGE_MESSAGES,
              "a first page comes from the tail");
static_assert(WINDOW_EVENTS >= 3 * (COMMANDS_WAITING_MAX + STORE_BATCH_EVENTS_MAX),
              "a command that was just looked up in the store lands inside of the window");
