/* A machine's whole program for tests: needs no shell, no library, no file. With no argument it serves three ports: TCP
 * 9000 sends 100 MB, TCP 9001 says how many bytes came, UDP 9002 sends every datagram back. Other words are for images
 * that have nothing else in them. */
#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static char block[1 << 16];

static int listen_at(int kind, int port)
{
	struct sockaddr_in here = {.sin_family = AF_INET, .sin_port = htons(port)};
	int one = 1, sock = socket(AF_INET, kind, 0);
	setsockopt(sock, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (bind(sock, (struct sockaddr *)&here, sizeof here) < 0)
		exit(20);
	if (kind == SOCK_STREAM)
		listen(sock, 64);
	return sock;
}

static void flood(int sock)
{
	for (long left = 100L << 20; left > 0;) {
		ssize_t sent = write(sock, block, left < (long)sizeof block ? (size_t)left : sizeof block);
		if (sent <= 0)
			return;
		left -= sent;
	}
}

static void count(int sock)
{
	long total = 0;
	for (ssize_t got; (got = read(sock, block, sizeof block)) > 0;)
		total += got;
	dprintf(sock, "%ld\n", total);
}

static void serve(int port, void (*answer)(int))
{
	int listener = listen_at(SOCK_STREAM, port);
	if (fork() == 0)
		for (;;) {
			int sock = accept(listener, NULL, NULL);
			answer(sock);
			close(sock);
		}
}

static void echo(int port)
{
	int sock = listen_at(SOCK_DGRAM, port);
	struct sockaddr_in client;
	for (;;) {
		socklen_t size = sizeof client;
		ssize_t got = recvfrom(sock, block, sizeof block, 0, (struct sockaddr *)&client, &size);
		sendto(sock, block, (size_t)got, 0, (struct sockaddr *)&client, size);
	}
}

static void eat_memory(void)
{
	for (size_t size = 1 << 20;; size += 1 << 20)
		memset(malloc(1 << 20), 1, 1 << 20);
}

static void on_signal(int number)
{
	_exit(100 + number);
}

static void show(void)
{
	char folder[256], host[64];
	gethostname(host, sizeof host);
	printf("%d:%d %s %s %s\n", getuid(), getgid(), getcwd(folder, sizeof folder), host, getenv("WORD"));
	printf("root %s, /mem %s\n", mkdir("/made", 0755) ? "closed" : "open", mkdir("/mem/made", 0755) ? "closed" : "open");
}

int main(int argc, char **argv)
{
	const char *word = argc > 1 ? argv[1] : "";
	setvbuf(stdout, NULL, _IOLBF, 0);
	signal(SIGPIPE, SIG_IGN);
	if (!strcmp(word, "eat"))
		eat_memory();
	if (!strcmp(word, "show"))
		show();
	if (!strcmp(word, "exit"))
		return atoi(argv[2]);
	if (!strcmp(word, "wait")) {
		signal(SIGTERM, on_signal);
		signal(SIGUSR1, on_signal);
		puts("waiting");
		for (;;)
			pause();
	}
	if (*word)
		return 0;
	serve(9000, flood);
	serve(9001, count);
	puts("serving");
	echo(9002);
}
