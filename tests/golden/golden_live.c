/* Plays a transcript: what the browsers say goes in, and what comes out must be what stands there.
 *
 *     # words for the reader
 *     A open ann           browser A, with the csrf id of the person ann
 *     A shut               its connection is gone
 *     A< [...]             it sends a frame
 *     A> [...]             it gets one
 *     A! 1002              its connection is to be closed with this code
 *     A? ...               what it got does not fit into its tree
 *     A shows              its page, as its tree has it; = lines follow
 *     dead /lobby ann      the page of a GET; = lines follow
 *     hold, release        opens wait, and go on
 *     slow, fast           answers of the host wait, and come
 *     refuse stale         those that wait are refused
 *     leader no, leader yes
 *     say lobby bob text   a message from another node
 *     late lobby NONCE bob text   the same, with this command id
 *     people lobby ann bob, away lobby 2, lists, crash A
 *
 * In a frame %session:ann% is the session token of ann and %broken:ann% one of its letters off.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "fake_host.h"

enum { TRANSCRIPT_MAX = 4 * 1024 * 1024, WORDS_MAX = 4 };

static struct fake_host fake;

static void add_token(struct buf *out, struct slice macro)
{
    struct slice who = macro;
    struct slice kind = slice_cut(&who, ':');
    size_t start = out->len;
    fake_host_session(&fake, out, who);
    if (!slice_is(kind, "broken")) return;
    char *letter = out->at + start + (out->len - start) / 2;
    *letter = *letter == 'A' ? 'B' : 'A';
}

static void expand(struct buf *out, struct slice text)
{
    while (text.len > 0) {
        size_t percent = slice_find(text, '%');
        buf_add(out, slice_first(text, percent));
        text = slice_skip(text, percent);
        bool is_macro =
            slice_starts(text, slice_of("%session:")) || slice_starts(text, slice_of("%broken:"));
        if (is_macro) {
            text = slice_skip(text, 1);
            add_token(out, slice_cut(&text, '%'));
        } else {
            buf_add(out, slice_first(text, 1));
            text = slice_skip(text, 1);
        }
    }
}

static void receive(char name, struct slice text)
{
    struct buf frame;
    buf_init(&frame, TRANSCRIPT_MAX);
    expand(&frame, text);
    int code = fake_host_receive(&fake, name, buf_slice(&frame));
    if (code != 0) buf_printf(&fake.out, "%c! %d\n", name, code);
    buf_close(&frame);
}

static void add_html(struct slice html, const char *title, size_t title_len)
{
    buf_printf(&fake.out, "= %.*s\n", (int)title_len, title);
    while (html.len > 0) {
        struct slice line = slice_cut(&html, '\n');
        buf_printf(&fake.out, "= %.*s\n", (int)line.len, line.at);
    }
}

static void show(char name)
{
    const struct fake_browser *browser = fake_host_browser(&fake, name);
    struct buf html;
    buf_init(&html, TRANSCRIPT_MAX);
    const char *problem = client_tree_html(&browser->tree, &html);
    if (problem != NULL) buf_printf(&fake.out, "%c? %s\n", name, problem);
    add_html(buf_slice(&html), browser->tree.title, strlen(browser->tree.title));
    buf_close(&html);
}

static void dead(struct slice path, struct slice who)
{
    struct buf html, title;
    buf_init(&html, TRANSCRIPT_MAX);
    buf_init(&title, HTTP_LINE_MAX);
    fake_host_dead(&fake, path, who, &html, &title);
    add_html(buf_slice(&html), title.at, title.len);
    buf_close(&html);
    buf_close(&title);
}

static void browser_line(char name, struct slice rest)
{
    struct slice word = slice_cut(&rest, ' ');
    if (slice_is(word, "open")) fake_host_open(&fake, name, rest);
    if (slice_is(word, "shut")) fake_host_shut(&fake, name);
    if (slice_is(word, "shows")) show(name);
}

static void host_line(struct slice rest)
{
    struct slice word = slice_cut(&rest, ' ');
    struct slice all = rest;
    struct slice first = slice_cut(&rest, ' ');
    uint64_t number = 0;
    if (slice_is(word, "hold")) fake.holds_opens = true;
    if (slice_is(word, "release")) fake.holds_opens = false;
    if (slice_is(word, "slow")) fake.is_slow = true;
    if (slice_is(word, "fast")) fake.is_slow = false;
    if (slice_is(word, "refuse")) {
        char *reason = mem_string(all.at, all.len);
        fake_host_refuse(&fake, reason);
        mem_free(reason);
    }
    if (slice_is(word, "leader")) fake.has_no_leader = slice_is(all, "no");
    if (slice_is(word, "lists")) fake_host_lists(&fake);
    if (slice_is(word, "people")) fake_host_people(&fake, first, rest);
    if (slice_is(word, "away") && slice_to_u64(rest, &number))
        fake_host_away(&fake, first, (unsigned)number);
    if (slice_is(word, "crash")) channel_crash(&fake_host_browser(&fake, all.at[0])->channel);
    if (slice_is(word, "dead")) dead(first, rest);
    if (slice_is(word, "say")) {
        struct slice sender = slice_cut(&rest, ' ');
        fake_host_say(&fake, first, slice_of(""), sender, rest);
    }
    if (slice_is(word, "late")) {
        struct slice id = slice_cut(&rest, ' ');
        struct slice sender = slice_cut(&rest, ' ');
        fake_host_say(&fake, first, id, sender, rest);
    }
    fake_host_turn(&fake);
}

/* Does what a line says, and appends it and what came of it. Lines that say what came are left out:
 * they are made anew. */
static void play_line(struct buf *played, struct slice line)
{
    bool of_browser = line.len >= 2 && line.at[0] >= 'A' && line.at[0] <= 'Z' &&
                      strchr(" <>!?", line.at[1]) != NULL;
    if (line.len > 0 && line.at[0] == '=') return;
    if (of_browser && strchr(">!?", line.at[1]) != NULL) return;
    buf_add(played, line);
    buf_add_char(played, '\n');
    buf_reset(&fake.out);
    if (of_browser && line.at[1] == '<')
        receive(line.at[0], slice_trim(slice_skip(line, 2)));
    else if (of_browser)
        browser_line(line.at[0], slice_skip(line, 2));
    else if (line.len > 0 && line.at[0] != '#')
        host_line(line);
    buf_add(played, buf_slice(&fake.out));
}

static bool read_file(struct buf *out, const char *path)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL) return false;
    char *at = buf_extend(out, TRANSCRIPT_MAX);
    buf_truncate(out, fread(at, 1, TRANSCRIPT_MAX, file));
    return fclose(file) == 0;
}

static int compare(const char *path, struct slice kept, struct slice played)
{
    unsigned number = 1;
    while (kept.len > 0 || played.len > 0) {
        struct slice expected = slice_cut(&kept, '\n');
        struct slice came = slice_cut(&played, '\n');
        if (!slice_equal(expected, came)) {
            fprintf(stderr, "%s:%u:\n  expected %.*s\n  came     %.*s\n", path, number,
                    (int)expected.len, expected.at, (int)came.len, came.at);
            return 1;
        }
        number++;
    }
    return 0;
}

int main(int argc, char **argv)
{
    struct buf kept, played;
    assert(argc == 2);
    buf_init(&kept, TRANSCRIPT_MAX);
    buf_init(&played, TRANSCRIPT_MAX);
    if (!read_file(&kept, argv[1])) {
        perror(argv[1]);
        return 1;
    }
    fake_host_init(&fake);
    for (struct slice rest = buf_slice(&kept); rest.len > 0;)
        play_line(&played, slice_cut(&rest, '\n'));
    fake_host_close(&fake);

    int status = compare(argv[1], buf_slice(&kept), buf_slice(&played));
    const char *mode = getenv("LIVETEA_GOLDEN");
    if (status != 0 && mode != NULL && strcmp(mode, "write") == 0) {
        FILE *file = fopen(argv[1], "wb");
        if (file != NULL) fwrite(played.at, 1, played.len, file);
        status = file == NULL || fclose(file) != 0;
    }
    buf_close(&kept);
    buf_close(&played);
    return status;
}
