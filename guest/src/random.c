#include "random.h"

#include <fcntl.h>
#include <linux/random.h>
#include <string.h>
#include <sys/ioctl.h>

enum { MOST = 64 };

static int device = -1;

void random_prepare(void)
{
	if (device < 0)
		device = open("/dev/urandom", O_RDWR | O_CLOEXEC);
}

bool random_renew(const uint8_t *seed, size_t length)
{
	struct {
		struct rand_pool_info head;
		uint8_t bytes[MOST];
	} pool = {.head = {.entropy_count = (int)(8 * length), .buf_size = (int)length}};
	random_prepare();
	memcpy(pool.bytes, seed, length < MOST ? length : MOST);
	bool done = device >= 0 && ioctl(device, RNDADDENTROPY, &pool) == 0 && ioctl(device, RNDRESEEDCRNG, 0) == 0;
	explicit_bzero(&pool, sizeof pool);
	return done;
}
