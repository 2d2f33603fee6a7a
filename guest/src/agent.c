#include "agent.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "become.h"
#include "bytes.h"
#include "clock.h"
#include "commit.h"
#include "entry.h"
#include "exec.h"
#include "files.h"
#include "frame.h"
#include "freeze.h"
#include "log.h"
#include "news.h"
#include "oom.h"
#include "outq.h"
#include "port.h"
#include "power.h"
#include "proto.h"
#include "rehearse.h"
#include "request.h"
#include "wall.h"

enum {
	READ_BYTES = 4096,
	READS_PER_TURN = 16,
	FLUSH_MS = 200,
};

static struct frame_parser parser;
static uint8_t input[READ_BYTES];
static size_t input_at, input_have;
static bool session; /* a HELLO has been answered with READY */
static uint8_t session_nonce[PROTO_NONCE];
static uint16_t session_minor; /* the host's */
static uint64_t started_ns, ready_ns;
static char boot_id[40];
static char *const *environment;

static struct gathering gathering; /* of a BECOME */
static bool held;		   /* this machine is nobody yet */
static struct told told;	   /* whom it is to be, when it is held */
static bool is_told, knows, owed;  /* READY is owed for a BECOME */
static uint8_t known_id[BECOME_ID];

static void begin(uint64_t init_started_ns)
{
	started_ns = init_started_ns;
	ready_ns = clock_ns(CLOCK_BOOTTIME);
}

/* Programs in the machine can be heard. */
static void start_listening(void)
{
	commit_start();
	news_start();
}

static bool can_listen_early(const struct config *config)
{
	return !config->root_serial || config->overlay_size;
}

void agent_hold(const struct config *config, uint64_t init_started_ns)
{
	begin(init_started_ns);
	held = true;
	port_start();
	if (can_listen_early(config))
		start_listening();
}

void agent_start(const struct config *config, uint64_t init_started_ns)
{
	begin(init_started_ns);
	environment = config->env;
	exec_set_environment(config->env);
	read_line("/proc/sys/kernel/random/boot_id", boot_id, sizeof boot_id);
	if (!held)
		port_start();
	if (!held || config->read_only || !can_listen_early(config)) /* what is in /run may be a copy by now */
		start_listening();
	held = false;
}

static void send_ready(const uint8_t *nonce, bool is_held)
{
	struct utsname names;
	uname(&names);
	struct ready ready = {.nonce = nonce,
			      .started_ns = started_ns,
			      .ready_ns = ready_ns,
			      .wall_ns = clock_ns(CLOCK_REALTIME),
			      .entry = *entry_status(),
			      .boot_id = boot_id,
			      .release = names.release,
			      .hostname = names.nodename,
			      .held = is_held};
	uint8_t *payload = outq_payload();
	outq_commit(KIND_READY, 0, dump_ready(payload, FRAME_MAX_PAYLOAD, &ready));
}

static void end_session(void)
{
	session = owed = false;
	exec_end_all();
}

/* Both sides say it: the host sees our version in READY, the console shows it to whoever looks there. */
static void refuse_stranger(const struct hello *hello)
{
	char text[100];
	snprintf(text, sizeof text, "the agent speaks protocol %d, the host %u.%u", PROTO_MAJOR, hello->major, hello->minor);
	say("%s", text);
	end_session();
	send_ready(hello->nonce, held);
	request_refuse(0, EPROTO, text);
}

static void welcome(void)
{
	entry_take_change(); /* READY says it, ... */
	oom_repeat_change();
	if (*entry_reason() || oom_kills())
		entry_repeat_change(); /* ... but not why */
	send_ready(session_nonce, held);
}

/* What is frozen goes on with a host that does not say who it is to be. */
static void begin_session(const struct hello *hello)
{
	end_session();
	outq_clear();
	if (!hello->becomes)
		freeze_end();
	session = true;
	memcpy(session_nonce, hello->nonce, PROTO_NONCE);
}

/* A HELLO may have waited in QEMU until the machine was up, so its clock is never ahead, but may be behind: it only moves
 * ours forward. The host corrects the rest when it has seen READY. */
static void on_hello(const struct frame *frame)
{
	struct hello hello;
	if (!parse_hello(frame->payload, frame->length, &hello))
		return;
	if (hello.major != PROTO_MAJOR) {
		refuse_stranger(&hello);
		return;
	}
	if (!session || memcmp(hello.nonce, session_nonce, PROTO_NONCE) != 0)
		begin_session(&hello);
	session_minor = hello.minor;
	if (hello.becomes)
		return; /* READY comes when it has become that */
	wall_advance(hello.wall_ns);
	welcome();
}

static void refuse_to_become(int error, const char *why)
{
	owed = false;
	send_ready(session_nonce, true);
	request_refuse(0, error, why);
}

/* Nothing of the seed stays where it has passed. */
static bool take_piece(const struct frame *frame, struct told *whole)
{
	bool complete = gather(&gathering, frame->payload, frame->length, whole);
	explicit_bzero(frame->payload, frame->length);
	if (complete)
		explicit_bzero(input, input_at);
	return complete;
}

/* A host that is not sure whether it was heard says it again. */
static void on_become(const struct frame *frame)
{
	struct told now;
	const char *why;
	if (is_told || power_is_ending() || !take_piece(frame, &now))
		return;
	owed = true;
	if (knows && !memcmp(known_id, now.id, BECOME_ID))
		return;
	knows = true;
	memcpy(known_id, now.id, BECOME_ID);
	if (held) {
		told = now;
		is_told = true;
	} else if (!become_begin(&now, environment, &why)) {
		knows = false;
		refuse_to_become(EINVAL, why);
	}
}

struct told *agent_take_told(void)
{
	if (!is_told)
		return NULL;
	is_told = false;
	return &told;
}

void agent_tell_failure(const char *text)
{
	if (!session || !owed || !outq_has_room(OUTQ_ANSWER_ROOM))
		return;
	refuse_to_become(ECANCELED, text);
	agent_flush();
}

/* The link comes up and goes down: while it is at that, nothing else is done. */
static void on_rehearse(const struct frame *frame)
{
	uint8_t error[4];
	if (held)
		rehearse();
	put_u32(error, held ? 0 : EBUSY);
	outq_send(KIND_REHEARSE, frame->stream, error, sizeof error);
}

/* What a machine can do that is held. */
static bool is_served_by_nobody(uint8_t kind)
{
	return kind == KIND_BECOME || kind == KIND_REHEARSE || kind == KIND_PING || kind == KIND_FACTS || kind == KIND_TIME || kind == KIND_SHUTDOWN;
}

static void handle(const struct frame *frame)
{
	if (frame->kind == KIND_HELLO) {
		on_hello(frame);
		return;
	}
	if (!session || (held && !is_served_by_nobody(frame->kind)))
		return;
	if (frame->kind == KIND_BECOME)
		on_become(frame);
	else if (frame->kind == KIND_REHEARSE)
		on_rehearse(frame);
	else
		request_serve(frame);
}

/* One frame's worth of input. False: there is none, or no room for an answer. */
static bool take_input(void)
{
	struct frame frame;
	bool complete;
	if (!outq_has_room(OUTQ_ANSWER_ROOM))
		return false;
	if (input_at == input_have) {
		input_at = 0;
		input_have = port_read(input, sizeof input);
	}
	if (!input_have)
		return false;
	input_at += frame_parser_feed(&parser, input + input_at, input_have - input_at, &frame, &complete);
	if (complete)
		handle(&frame);
	return true;
}

static void forget_peer(void)
{
	end_session();
	outq_clear();
	frame_parser_reset(&parser);
	input_at = input_have = 0;
}

static void pay_ready(void)
{
	if (!owed || held || become_is_going_on() || !outq_has_room(OUTQ_ANSWER_ROOM))
		return;
	owed = false;
	welcome();
	outq_flush(port_fd()); /* before anything else: somebody waits for it */
	if (session_minor >= 2)
		become_send_news();
}

static void send_oom(void)
{
	uint8_t payload[4];
	if (!session || !outq_has_room(OUTQ_EVENT_ROOM) || !oom_take_change())
		return;
	put_u32(payload, oom_kills());
	outq_send(KIND_OOM, 0, payload, sizeof payload);
}

/* OOM and REASON stand before the ENTRY they explain. */
static void send_entry_change(void)
{
	uint8_t payload[16];
	send_oom();
	if (!session || !outq_has_room(2 * OUTQ_EVENT_ROOM) || !entry_take_change())
		return;
	if (*entry_reason())
		outq_send(KIND_REASON, 0, entry_reason(), strlen(entry_reason()) + 1);
	outq_send(KIND_ENTRY, 0, payload, dump_entry(payload, entry_status()));
}

bool agent_has_news(void)
{
	bool nobody = port_state() == PORT_ALONE;
	return entry_status()->state == ENTRY_EXITED && !nobody && (!session || entry_has_change() || !outq_is_empty());
}

/* Reading is bounded a turn: a host that never stops sending must not keep init from reaping. */
void agent_step(void)
{
	enum port_state before = port_step();
	if (before == PORT_CONNECTED)
		for (int i = 0; i < READS_PER_TURN && take_input(); i++)
			continue;
	if (before == PORT_CONNECTED && port_step() == PORT_ALONE)
		forget_peer();
	pay_ready();
	freeze_step();
	exec_step();
	send_entry_change();
	if (!held)
		commit_step(session && session_minor >= 1);
	news_step(session && session_minor >= 2 && !held);
	if (session || !outq_is_empty())
		outq_flush(port_fd());
}

void agent_poll(struct pollset *set)
{
	short events = 0;
	if (outq_has_room(OUTQ_ANSWER_ROOM))
		events |= POLLIN;
	if (!outq_is_empty())
		events |= POLLOUT;
	if (input_at < input_have && outq_has_room(OUTQ_ANSWER_ROOM))
		pollset_wake_at(set, 0);
	port_poll(set, events);
	freeze_poll(set);
	exec_poll(set);
	commit_poll(set);
	news_poll(set, session && session_minor >= 2);
}

/* QEMU takes what is written a moment later: a reset in this moment would be the end of it. */
static void let_it_be_taken(void)
{
	struct timespec moment = {0, 10 * 1000 * 1000};
	nanosleep(&moment, NULL);
}

void agent_flush(void)
{
	int64_t give_up = now_ms() + FLUSH_MS;
	if (!session)
		return;
	while (!outq_is_empty() && now_ms() < give_up) {
		struct pollfd port = {.fd = port_fd(), .events = POLLOUT};
		if (poll(&port, 1, FLUSH_MS) > 0 && (port.revents & POLLHUP))
			return;
		outq_flush(port.fd);
	}
	let_it_be_taken();
}
