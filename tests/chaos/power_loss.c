/* power_loss DIR...: takes the power from the ext4 file systems that are mounted there, all at once.
 *
 * The file system is shut down without its journal being written: what nobody has flushed is gone, as
 * after a power cut, and whatever is asked of it from now on fails. Unmount it and mount it again. */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { DISKS_MAX = 16 };

#define EXT4_SHUTDOWN _IOR('X', 125, uint32_t)
static const uint32_t without_the_journal = 2;

int main(int argc, char **argv)
{
    int fds[DISKS_MAX];
    int count = argc - 1;
    if (count < 1 || count > DISKS_MAX) {
        fprintf(stderr, "power_loss: 1 to %d directories\n", DISKS_MAX);
        return 2;
    }
    for (int i = 0; i < count; i++) {
        fds[i] = open(argv[i + 1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fds[i] < 0) {
            fprintf(stderr, "power_loss: %s: %s\n", argv[i + 1], strerror(errno));
            return 1;
        }
    }
    int rv = 0;
    for (int i = 0; i < count; i++) {
        if (ioctl(fds[i], EXT4_SHUTDOWN, &without_the_journal) == 0) continue;
        fprintf(stderr, "power_loss: %s: %s\n", argv[i + 1], strerror(errno));
        rv = 1;
    }
    return rv;
}
