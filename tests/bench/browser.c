#include "bench/browser.h"

#include <errno.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"

enum {
    READ_SIZE = 512 * 1024,
    TORSO_MAX = 8 * 1024 * 1024,
    REQUEST_MAX = 32 * 1024,
    JOIN_REF = 4,
    OPCODE_TEXT = 1,
    OPCODE_CLOSE = 8,
    OPCODE_PING = 9,
    OPCODE_PONG = 10,
    FRAME_FIN = 0x80,
    FRAME_MASKED = 0x80
};

struct browser_totals browser_totals;

/* One thread: what is being read and written belongs to whoever's turn it is. */
static char *incoming;
static struct buf outgoing, form;

static void browser_ready(struct watch *watch, uint32_t events);

static void end(struct browser *browser, int status)
{
    bool was_live = browser->state == BROWSER_LIVE;
    browser_close(browser);
    if (browser->calls->on_closed != NULL) browser->calls->on_closed(browser, was_live, status);
}

void browser_open(struct browser *browser)
{
    if (incoming == NULL) {
        incoming = mem_new(READ_SIZE + TORSO_MAX);
        buf_init(&outgoing, REQUEST_MAX);
        buf_init(&form, REQUEST_MAX);
    }
    browser->watch.fd = place_connect(browser->place);
    browser->watch.on_ready = browser_ready;
    browser->state = BROWSER_CONNECTING;
    if (browser->watch.fd < 0) {
        end(browser, 0);
        return;
    }
    loop_add(browser->loop, &browser->watch, EPOLLIN | EPOLLOUT);
}

void browser_close(struct browser *browser)
{
    watch_close(&browser->watch);
    mem_free(browser->torso);
    browser->torso = NULL;
    browser->torso_len = 0;
    browser->state = BROWSER_CLOSED;
}

/* Requests are small and one at a time: one that finds no room means that the node reads nothing. */
static void write_all(struct browser *browser, const struct iovec *parts, int count)
{
    size_t wanted = 0;
    for (int i = 0; i < count; i++)
        wanted += parts[i].iov_len;
    struct msghdr message = {.msg_iov = (struct iovec *)(uintptr_t)parts,
                             .msg_iovlen = (size_t)count};
    ssize_t len = sendmsg(browser->watch.fd, &message, MSG_NOSIGNAL);
    if (len < 0 && (errno == EPIPE || errno == ECONNRESET)) return; /* the read says so too */
    if (len < 0) die("a browser cannot write: %s", strerror(errno));
    if ((size_t)len != wanted) die("a browser has written a part of %zu bytes only", wanted);
}

/* A frame with the mask 0, which changes nothing on the way and costs the node the same. */
static void write_frame(struct browser *browser, unsigned opcode, struct slice payload)
{
    unsigned char head[14] = {(unsigned char)(FRAME_FIN | opcode)};
    size_t head_len = 2;
    if (payload.len < 126) {
        head[1] = (unsigned char)(FRAME_MASKED | payload.len);
    } else {
        if (payload.len > UINT16_MAX) die("an event is too long");
        head[1] = FRAME_MASKED | 126;
        head[2] = (unsigned char)(payload.len >> 8);
        head[3] = (unsigned char)payload.len;
        head_len = 4;
    }
    head_len += 4; /* the mask */
    struct iovec parts[] = {{head, head_len}, {(void *)(uintptr_t)payload.at, payload.len}};
    write_all(browser, parts, 2);
}

static void write_upgrade(struct browser *browser)
{
    const struct place *place = browser->place;
    buf_reset(&outgoing);
    buf_printf(&outgoing,
               "GET /live/websocket?_csrf_token=%s&vsn=2.0.0 HTTP/1.1\r\n"
               "Host: %.*s\r\nOrigin: %.*s\r\n"
               "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
               "Sec-WebSocket-Key: bGl2ZSB0ZWEgYmVuY2ggIQ==\r\n\r\n",
               browser->visitor->csrf, (int)place->host.len, place->host.at, (int)place->url.len,
               place->url.at);
    struct iovec part = {outgoing.at, outgoing.len};
    write_all(browser, &part, 1);
}

static void write_join(struct browser *browser)
{
    const struct visitor *visitor = browser->visitor;
    const struct place *place = browser->place;
    browser->ref = JOIN_REF;
    buf_reset(&outgoing);
    buf_printf(&outgoing,
               "[\"%d\",\"%d\",\"lv:lt\",\"phx_join\",{\"url\":\"%.*s/bench-%u\",\"params\":"
               "{\"_csrf_token\":\"%s\",\"tz\":0,\"touch\":false,\"seen\":0,\"_mounts\":0,"
               "\"_mount_attempts\":0},\"session\":\"%s\",\"static\":null,\"sticky\":false}]",
               JOIN_REF, JOIN_REF, (int)place->url.len, place->url.at, browser->room, visitor->csrf,
               visitor->session);
    write_frame(browser, OPCODE_TEXT, buf_slice(&outgoing));
}

void browser_send(struct browser *browser, struct slice text, struct slice nonce)
{
    buf_reset(&form);
    buf_printf(&form, "_csrf_token=%s&nonce=%.*s&message=", browser->visitor->csrf, (int)nonce.len,
               nonce.at);
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] == ' ')
            buf_add_char(&form, '+');
        else if (text.at[i] == '^')
            buf_add(&form, slice_of("%5E"));
        else
            buf_add_char(&form, text.at[i]);
    }
    buf_reset(&outgoing);
    buf_printf(&outgoing, "[\"%d\",\"%llu\",\"lv:lt\",\"event\",{\"type\":\"form\",", JOIN_REF,
               (unsigned long long)++browser->ref);
    buf_add(&outgoing, slice_of("\"event\":\"send_message\",\"value\":\""));
    buf_add(&outgoing, buf_slice(&form));
    buf_add(&outgoing, slice_of("\",\"meta\":{}}]"));
    if (outgoing.overflowed || form.overflowed) die("an event is too long");
    write_frame(browser, OPCODE_TEXT, buf_slice(&outgoing));
}

static uint64_t number_at(const char *at, const char *stop)
{
    uint64_t number = 0;
    while (at < stop && *at >= '0' && *at <= '9')
        number = number * 10 + (uint64_t)(*at++ - '0');
    return number;
}

/* How many messages the frame inserts, `["m-NUMBER",AT,...]`; an id among deletes has no number
 * behind it. */
static unsigned count_messages(struct browser *browser, struct slice frame)
{
    const char *at = frame.at, *stop = frame.at + frame.len;
    unsigned count = 0;
    while ((at = memchr(at, '[', (size_t)(stop - at))) != NULL) {
        at++;
        if (stop - at < 8 || memcmp(at, "\"m-", 3) != 0) continue;
        uint64_t number = number_at(at + 3, stop);
        const char *quote = memchr(at + 3, '"', (size_t)(stop - at - 3));
        if (quote == NULL || stop - quote < 3 || quote[1] != ',' || quote[2] == '"') continue;
        at = quote;
        if (number <= browser->newest) {
            browser->again++;
            continue;
        }
        browser->newest = number;
        count++;
    }
    return count;
}

static void take_join_reply(struct browser *browser, struct slice frame)
{
    static const char ok[] = "\"status\":\"ok\"";
    struct slice head = slice_first(frame, 80);
    if (memmem(head.at, head.len, ok, sizeof ok - 1) == NULL) {
        if (!browser_totals.is_refusal_told)
            fprintf(stderr, "  a join was refused: %.*s\n", (int)slice_first(frame, 300).len,
                    frame.at);
        browser_totals.is_refusal_told = true;
        end(browser, 0);
        return;
    }
    browser->newest = 0;
    count_messages(browser, frame);
    browser->messages = 0;
    browser->again = 0;
    browser->state = BROWSER_LIVE;
    if (browser->calls->on_live != NULL) browser->calls->on_live(browser);
}

/* frame_len: with the WebSocket's header. */
static void take_text(struct browser *browser, struct slice frame, size_t frame_len)
{
    if (slice_starts(frame, slice_of("[null,null,"))) {
        uint64_t again = browser->again;
        unsigned count = count_messages(browser, frame);
        if (count == 0 && browser->again == again) return;
        browser->messages += count;
        browser_totals.diffs++;
        browser_totals.diff_bytes += frame_len;
        browser_totals.diff_messages += count;
        if (browser->calls->on_messages != NULL) browser->calls->on_messages(browser, frame, count);
        return;
    }
    struct slice rest = frame;
    slice_cut(&rest, ',');
    if (rest.len == 0 || rest.at[0] != '"') return;
    uint64_t ref = number_at(rest.at + 1, rest.at + rest.len);
    if (browser->state == BROWSER_JOINING && ref == JOIN_REF)
        take_join_reply(browser, frame);
    else if (browser->calls->on_reply != NULL)
        browser->calls->on_reply(browser, ref, frame);
}

static void take_frame(struct browser *browser, unsigned opcode, struct slice payload,
                       size_t frame_len)
{
    if (browser->state == BROWSER_LIVE) browser_totals.bytes += frame_len;
    if (opcode == OPCODE_TEXT) {
        take_text(browser, payload, frame_len);
    } else if (opcode == OPCODE_PING) {
        write_frame(browser, OPCODE_PONG, payload);
    } else if (opcode == OPCODE_CLOSE) {
        int code = 1005;
        if (payload.len >= 2)
            code = (unsigned char)payload.at[0] << 8 | (unsigned char)payload.at[1];
        end(browser, code);
    }
}

/* Takes the whole frames out of `bytes` and returns how many bytes that were. */
static size_t take_frames(struct browser *browser, struct slice bytes)
{
    const unsigned char *at = (const unsigned char *)bytes.at;
    size_t taken = 0;
    while (bytes.len - taken >= 2 && browser->watch.fd >= 0) {
        const unsigned char *frame = at + taken;
        size_t left = bytes.len - taken, head = 2;
        uint64_t len = frame[1] & 0x7fU;
        if ((frame[0] & FRAME_FIN) == 0 || (frame[1] & FRAME_MASKED) != 0)
            die("a frame that a node does not send: %02x %02x", frame[0], frame[1]);
        if (len >= 126) {
            size_t len_bytes = len == 126 ? 2 : 8;
            head += len_bytes;
            if (left < head) break;
            len = 0;
            for (size_t i = 2; i < head; i++)
                len = len << 8 | frame[i];
            if (len > TORSO_MAX - head) die("a frame of %llu bytes", (unsigned long long)len);
        }
        if (left < head + len) break;
        take_frame(browser, frame[0] & 0x0fU, slice_make(frame + head, len), head + len);
        taken += head + len;
    }
    return taken;
}

/* The answer to the upgrade; 0 while it is not whole. */
static size_t take_upgrade(struct browser *browser, struct slice bytes)
{
    const char *stop = memmem(bytes.at, bytes.len, "\r\n\r\n", 4);
    uint64_t status = 0;
    if (stop == NULL) return 0;
    if (!slice_starts(bytes, slice_of("HTTP/1.1 ")) ||
        !slice_to_u64(slice_first(slice_skip(bytes, 9), 3), &status))
        die("the upgrade was answered with what is no HTTP");
    if (status != 101) {
        end(browser, (int)status);
        return bytes.len;
    }
    browser->state = BROWSER_JOINING;
    write_join(browser);
    return (size_t)(stop - bytes.at) + 4;
}

static void keep_torso(struct browser *browser, struct slice rest)
{
    if (rest.len > TORSO_MAX) die("a frame is longer than %d bytes", TORSO_MAX);
    mem_free(browser->torso);
    browser->torso = rest.len == 0 ? NULL : mem_copy(rest.at, rest.len);
    browser->torso_len = rest.len;
}

static void read_some(struct browser *browser)
{
    size_t kept = browser->torso_len;
    ssize_t len = recv(browser->watch.fd, incoming + kept, READ_SIZE, 0);
    if (len < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (len <= 0) {
        end(browser, 0);
        return;
    }
    browser_totals.reads++;
    if (kept > 0) memcpy(incoming, browser->torso, kept);
    struct slice bytes = slice_make(incoming, kept + (size_t)len);
    if (browser->state == BROWSER_UPGRADING)
        bytes = slice_skip(bytes, take_upgrade(browser, bytes));
    if (browser->state == BROWSER_JOINING || browser->state == BROWSER_LIVE)
        bytes = slice_skip(bytes, take_frames(browser, bytes));
    if (browser->watch.fd >= 0 && (bytes.len > 0 || kept > 0)) keep_torso(browser, bytes);
}

static void browser_ready(struct watch *watch, uint32_t events)
{
    struct browser *browser = (struct browser *)watch;
    if (browser->state == BROWSER_CONNECTING && (events & (EPOLLERR | EPOLLHUP)) != 0) {
        end(browser, 0);
        return;
    }
    if (browser->state == BROWSER_CONNECTING && (events & EPOLLOUT) != 0) {
        browser->state = BROWSER_UPGRADING;
        loop_change(browser->loop, watch, EPOLLIN);
        write_upgrade(browser);
    }
    if (watch->fd >= 0 && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) read_some(browser);
}

bool reply_is_refusal(struct slice frame)
{
    return memmem(frame.at, frame.len, "\"err\"", 5) != NULL;
}
