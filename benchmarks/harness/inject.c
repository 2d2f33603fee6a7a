/* Sends frames as they are: `inject LINK` reads one from each line of its input, in hexadecimal. */
#include <net/if.h>
#include <netpacket/packet.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

int main(int argc, char **argv)
{
	static char line[1 << 13];
	static unsigned char frame[1 << 12];
	int sock = socket(AF_PACKET, SOCK_RAW, 0);
	struct sockaddr_ll link = {.sll_family = AF_PACKET, .sll_halen = 6, .sll_ifindex = (int)if_nametoindex(argv[argc - 1])};

	while (fgets(line, sizeof line, stdin)) {
		size_t size = strcspn(line, "\n") / 2;
		for (size_t at = 0; at < size; at++)
			if (sscanf(line + 2 * at, "%2hhx", frame + at) != 1)
				return 2;
		memcpy(link.sll_addr, frame, 6);
		if (sendto(sock, frame, size, 0, (struct sockaddr *)&link, sizeof link) != (ssize_t)size)
			return 1;
	}
	return 0;
}
