/* All that threads say to each other. What a mail points to belongs to it: its receiver frees it, or
 * sends it on. Slices in a mail stand on the mail's own memory.
 */
#pragma once
#include "app/snapshot.h"
#include "base/hash_table.h"
#include "base/mailbox.h"
#include "live/live.h"

struct web_thread;

enum mail_kind {
    MAIL_COMMAND,     /* web -> domain: a SendMessage; comes back as MAIL_ANSWER */
    MAIL_CHECK,       /* web -> domain: is this command in the log? comes back as MAIL_ANSWER */
    MAIL_ANSWER,      /* domain -> web, web -> itself: the same memory, with the answer */
    MAIL_ROOM_OPEN,   /* web -> domain: show me this room from now on */
    MAIL_ROOM_TAIL,   /* domain -> web: its last messages; from now on its events come */
    MAIL_ROOM_CLOSE,  /* web -> domain: nobody here shows it any more */
    MAIL_REACH,       /* web -> domain: tell me when event `number` is applied; comes back */
    MAIL_REACH_END,   /* web -> domain: that viewer has gone: tell it nothing */
    MAIL_CHANGE,      /* web -> domain: change the members, or the leader; comes back */
    MAIL_EVENTS,      /* domain -> web: committed events of rooms that the thread shows, in order */
    MAIL_SNAPSHOT,    /* domain -> web: how things stand (with the board) */
    MAIL_COUNTERS,    /* web -> domain: a thread's figures, once a second */
    MAIL_PRESENCE,    /* web -> domain: somebody came, went, or types */
    MAIL_APPEND,      /* domain -> store: committed events, whole raft entries, in order */
    MAIL_DURABLE,     /* store -> domain: on disk up to this number */
    MAIL_DRAIN_ASKED, /* web, domain -> main: stop this node in good order */
    MAIL_DRAIN,       /* main -> domain, web: take nothing new, hand over, send browsers away */
    MAIL_REPORT,      /* main -> domain: log how things stand */
    MAIL_QUIET,       /* main -> domain: stop the node; no mail leaves you from then on */
    MAIL_STOP         /* main -> any: end your loop */
};

enum check_result { CHECK_KNOWN, CHECK_USED, CHECK_NOT_FOUND, CHECK_RETRY, CHECK_NOBODY };

struct command_mail { /* MAIL_COMMAND, MAIL_CHECK, MAIL_ANSWER */
    struct mail mail;
    struct web_thread *thread;      /* whom to answer */
    struct command_request request; /* the command; its slices stand on `text` */
    struct barrier_request barrier;
    void *domain; /* the domain thread's, while it has the mail */
    struct answer answer;
    enum check_result check; /* of MAIL_CHECK; answer.number with KNOWN */
    bool is_check;
    uint64_t deadline_ms; /* of the web thread, for looking again after RETRY */
    uint64_t started_ns;
    /* for whom, on the web thread */
    uint64_t viewer; /* id, 0 = not for a live view */
    struct live_ref ref;
    void (*on_answer)(void *owner, struct command_mail *mail); /* the mail is freed behind it */
    void *owner;
    char text[];
};

struct room_mail { /* MAIL_ROOM_OPEN, MAIL_ROOM_TAIL, MAIL_ROOM_CLOSE */
    struct mail mail;
    struct web_thread *thread;
    uint8_t room_len;
    char room[ROOM_MAX];
    uint64_t next_seq; /* TAIL: of the message after the last; count of messages follow from it */
    uint64_t number;   /* TAIL: the number it stands at */
    int status;        /* TAIL: 0, or ERR_ code when the store could not be read */
    size_t count;
    struct shared *messages[TAIL_MAX]; /* TAIL: oldest first, one reference each */
};

struct reach_who { /* on which thread, and its id there */
    struct web_thread *thread;
    uint64_t viewer;
};

struct reach_mail { /* MAIL_REACH, MAIL_REACH_END */
    struct mail mail;
    struct reach_who who;
    uint64_t number; /* of MAIL_REACH */
    bool reached;
    /* the domain thread's, while it has the mail: see reach.h */
    uint64_t deadline_ms;
    size_t place;
    struct reach_mail *next_waiting, *prev_waiting;
    UT_hash_handle hh; /* by `who` */
};

struct change_mail { /* MAIL_CHANGE */
    struct mail mail;
    struct web_thread *thread;     /* whom to answer */
    struct change_request request; /* filled by the asker */
    struct change_answer answer;
    void *domain; /* the domain thread's, while it has the mail */
    void (*on_answer)(void *owner, struct change_mail *mail); /* freed behind it */
    void *owner;
};

struct drain_mail { /* MAIL_DRAIN_ASKED */
    struct mail mail;
    uint32_t timeout_ms;
    char reason[64]; /* for the log */
};

struct events_mail { /* MAIL_EVENTS, MAIL_APPEND */
    struct mail mail;
    uint64_t applied_ns;   /* when the last of them was applied */
    uint64_t index;        /* APPEND: last raft entry they come from */
    uint64_t raft_durable; /* APPEND */
    uint64_t number;       /* EVENTS: applied up to here */
    size_t count;
    struct shared *events[]; /* one reference each */
};

struct snapshot_mail { /* MAIL_SNAPSHOT */
    struct mail mail;
    struct snapshot *snapshot; /* one reference */
};

struct counters_mail { /* MAIL_COUNTERS */
    struct mail mail;
    int thread_number;
    struct web_counters counters;
};

enum presence_what { PRESENCE_ENTER, PRESENCE_LEAVE, PRESENCE_TYPING };

struct presence_mail { /* MAIL_PRESENCE */
    struct mail mail;
    enum presence_what what;
    struct sender_id sender_id;
    uint8_t room_len, name_len;
    char room[ROOM_MAX];
    char name[NAME_MAX_BYTES];
};

struct durable_mail { /* MAIL_DURABLE */
    struct mail mail;
    uint64_t number, disk_bytes;
    struct histogram fsync; /* so far */
};
