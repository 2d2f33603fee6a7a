#include "random.h"

#include <fcntl.h>
#include <linux/random.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { MOST = 64 };

bool random_renew(const uint8_t *seed, size_t length)
{
	struct {
		struct rand_pool_info head;
		uint8_t bytes[MOST];
	} pool = {.head = {.entropy_count = (int)(8 * length), .buf_size = (int)length}};
	int fd = open("/dev/urandom", O_RDWR | O_CLOEXEC);
	memcpy(pool.bytes, seed, length < MOST ? length : MOST);
	bool done = fd >= 0 && ioctl(fd, RNDADDENTROPY, &pool) == 0 && ioctl(fd, RNDRESEEDCRNG, 0) == 0;
	explicit_bzero(&pool, sizeof pool);
	if (fd >= 0)
		close(fd);
	return done;
}
