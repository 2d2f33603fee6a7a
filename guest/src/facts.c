#include "facts.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netpacket/packet.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <unistd.h>

#include "clock.h"
#include "files.h"
#include "oom.h"
#include "prefix.h"

struct text {
	char *at;
	size_t room;
};

/* A line that does not fit is left out whole. */
static void add(struct text *text, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	int length = vsnprintf(text->at, text->room, format, arguments);
	va_end(arguments);
	if (length < 0 || (size_t)length >= text->room)
		return;
	text->at += length;
	text->room -= (size_t)length;
}

static void add_load(struct text *text)
{
	char line[128], one[16], five[16], fifteen[16];
	unsigned running, total;
	if (read_line("/proc/loadavg", line, sizeof line) < 0)
		return;
	if (sscanf(line, "%15s %15s %15s %u/%u", one, five, fifteen, &running, &total) != 5)
		return;
	add(text, "load %s %s %s\n", one, five, fifteen);
	add(text, "processes %u %u\n", running, total);
}

/* `cpu USER NICE SYSTEM IDLE IOWAIT IRQ SOFTIRQ STEAL ...` in ticks, of all processors. */
static void add_times(struct text *text)
{
	char line[256];
	unsigned long long user, nice, system, idle, wait, irq, soft, steal;
	if (read_line("/proc/stat", line, sizeof line) < 0)
		return;
	if (sscanf(line, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &user, &nice, &system, &idle, &wait, &irq, &soft,
		   &steal) != 8)
		return;
	unsigned long long tick = 1000000 / (unsigned long long)sysconf(_SC_CLK_TCK);
	add(text, "cpu_busy_us %llu\n", (user + nice + system + irq + soft + steal) * tick);
	add(text, "cpu_idle_us %llu\n", (idle + wait) * tick);
}

static void add_memory(struct text *text)
{
	static const char *const names[][2] = {
		{"MemTotal:", "memory_total"},	   {"MemFree:", "memory_free"}, {"MemAvailable:", "memory_available"},
		{"SwapTotal:", "swap_total"}, {"SwapFree:", "swap_free"},
	};
	char file[4096];
	if (read_file("/proc/meminfo", file, sizeof file) < 0)
		return;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		char *found = strstr(file, names[i][0]);
		if (found)
			add(text, "%s %llu\n", names[i][1], 1024 * strtoull(found + strlen(names[i][0]), NULL, 10));
	}
}

static unsigned long long read_count(const char *text, const char *name)
{
	char *found = strstr(text, name);
	return found ? strtoull(found + strlen(name), NULL, 10) : 0;
}

/* Memory that the balloon has taken is still counted as the kernel's. */
static void add_balloon(struct text *text)
{
	static char file[16 * 1024];
	if (read_file("/proc/vmstat", file, sizeof file) < 0 || !strstr(file, "\nballoon_inflate "))
		return;
	unsigned long long pages = read_count(file, "\nballoon_inflate ") - read_count(file, "\nballoon_deflate ");
	add(text, "memory_ballooned %llu\n", pages * (unsigned long long)sysconf(_SC_PAGESIZE));
}

/* Whether a driver has a device. */
static bool is_at_work(const char *driver)
{
	char path[64];
	snprintf(path, sizeof path, "/sys/bus/virtio/drivers/%s", driver);
	DIR *dir = opendir(path);
	bool found = false;
	for (struct dirent *one; !found && dir && (one = readdir(dir));)
		found = !strncmp(one->d_name, "virtio", 6);
	if (dir)
		closedir(dir);
	return found;
}

static void add_memory_drivers(struct text *text)
{
	bool balloon = is_at_work("virtio_balloon"), mem = is_at_work("virtio_mem");
	add(text, "memory_drivers %s%s%s\n", balloon ? "balloon" : "", balloon && mem ? " " : "",
	    mem ? "mem" : balloon ? "" : "none");
}

/* `some avg10=0.00 avg60=0.00 avg300=0.00 total=0`; a kernel without PSI has no such file. */
static void add_pressure(struct text *text, const char *what)
{
	char path[64], file[512];
	snprintf(path, sizeof path, "/proc/pressure/%s", what);
	if (read_file(path, file, sizeof file) < 0)
		return;
	for (char *line = strtok(file, "\n"); line; line = strtok(NULL, "\n")) {
		char kind[8], ten[16], sixty[16], threehundred[16];
		unsigned long long total;
		if (sscanf(line, "%7s avg10=%15s avg60=%15s avg300=%15s total=%llu", kind, ten, sixty, threehundred, &total) == 5)
			add(text, "pressure %s %s %s %s %s %llu\n", what, kind, ten, sixty, threehundred, total);
	}
}

static void add_address(struct text *text, const struct ifaddrs *one)
{
	char address[INET6_ADDRSTRLEN];
	const struct sockaddr *from = one->ifa_addr;
	const void *bytes = from->sa_family == AF_INET ? (const void *)&((const struct sockaddr_in *)from)->sin_addr
						       : (const void *)&((const struct sockaddr_in6 *)from)->sin6_addr;
	if (one->ifa_netmask && inet_ntop(from->sa_family, bytes, address, sizeof address))
		add(text, "address %s %s/%d\n", one->ifa_name, address, prefix_length(one->ifa_netmask));
}

static void add_nic(struct text *text, const struct ifaddrs *one)
{
	const uint8_t *m = ((const struct sockaddr_ll *)one->ifa_addr)->sll_addr;
	char path[64], mtu[16] = "0";
	snprintf(path, sizeof path, "/sys/class/net/%.16s/mtu", one->ifa_name);
	read_line(path, mtu, sizeof mtu);
	add(text, "nic %s %02x:%02x:%02x:%02x:%02x:%02x %s %s\n", one->ifa_name, m[0], m[1], m[2], m[3], m[4], m[5],
	    one->ifa_flags & IFF_UP ? "up" : "down", mtu);
}

static void add_interfaces(struct text *text)
{
	struct ifaddrs *all;
	if (getifaddrs(&all) < 0)
		return;
	for (struct ifaddrs *one = all; one; one = one->ifa_next) {
		if (!one->ifa_addr || (one->ifa_flags & IFF_LOOPBACK))
			continue;
		if (one->ifa_addr->sa_family == AF_PACKET)
			add_nic(text, one);
		else if (one->ifa_addr->sa_family == AF_INET || one->ifa_addr->sa_family == AF_INET6)
			add_address(text, one);
	}
	freeifaddrs(all);
}

size_t facts_write(char *out, size_t room)
{
	struct text text = {out, room};
	char cpus[64];
	add(&text, "uptime_ns %llu\n", (unsigned long long)clock_ns(CLOCK_BOOTTIME));
	add_load(&text);
	add_times(&text);
	add_memory(&text);
	add_balloon(&text);
	add_memory_drivers(&text);
	if (read_line("/sys/devices/system/cpu/online", cpus, sizeof cpus) > 0)
		add(&text, "cpus_online %s\n", cpus);
	add_pressure(&text, "cpu");
	add_pressure(&text, "memory");
	add_pressure(&text, "io");
	oom_look();
	add(&text, "oom_kills %u\n", oom_kills());
	add_interfaces(&text);
	return (size_t)(text.at - out);
}
