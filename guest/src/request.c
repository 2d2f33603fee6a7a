#include "request.h"

#include <errno.h>
#include <string.h>

#include "commit.h"
#include "entry.h"
#include "exec.h"
#include "facts.h"
#include "freeze.h"
#include "outq.h"
#include "power.h"
#include "proto.h"
#include "wall.h"

void request_refuse(uint16_t stream, int code, const char *text)
{
	uint8_t *payload = outq_payload();
	outq_commit(KIND_ERROR, stream, dump_error(payload, OUTQ_EVENT_ROOM - FRAME_HEADER, (uint32_t)code, text));
}

static void on_exec(const struct frame *frame)
{
	static struct exec_request request;
	if (!parse_exec(frame->payload, frame->length, &request)) {
		request_refuse(frame->stream, EBADMSG, "malformed EXEC");
		return;
	}
	int error = power_is_ending() ? ESHUTDOWN : exec_start(frame->stream, &request);
	if (error)
		request_refuse(frame->stream, error, error == EBUSY ? "too many streams" : strerror(error));
}

static void on_shutdown(const struct frame *frame)
{
	enum shutdown_kind kind;
	uint32_t grace_ms;
	if (parse_shutdown(frame->payload, frame->length, &kind, &grace_ms))
		power_end(kind, grace_ms);
	else
		request_refuse(frame->stream, EBADMSG, "malformed SHUTDOWN");
}

static void on_time(const struct frame *frame)
{
	uint64_t wall_ns;
	if (parse_time(frame->payload, frame->length, &wall_ns))
		wall_set(wall_ns);
	else
		request_refuse(frame->stream, EBADMSG, "malformed TIME");
}

static void on_window(const struct frame *frame)
{
	uint32_t credit;
	if (parse_window(frame->payload, frame->length, &credit))
		exec_window(frame->stream, credit);
}

static void on_resize(const struct frame *frame)
{
	uint16_t rows, cols;
	if (parse_resize(frame->payload, frame->length, &rows, &cols))
		frame->stream ? exec_resize(frame->stream, rows, cols) : entry_resize(rows, cols);
}

static void on_signal(const struct frame *frame)
{
	int number;
	if (parse_signal(frame->payload, frame->length, &number))
		frame->stream ? exec_signal(frame->stream, number) : entry_signal(number);
}

static void on_committed(const struct frame *frame)
{
	bool accepted;
	const char *why;
	if (parse_committed(frame->payload, frame->length, &accepted, &why))
		commit_answer(frame->stream, accepted, why);
}

static void on_facts(const struct frame *frame)
{
	uint8_t *payload = outq_payload();
	outq_commit(KIND_FACTS, frame->stream, facts_write((char *)payload, FRAME_MAX_PAYLOAD));
}

static void on_thaw(const struct frame *frame)
{
	static const uint8_t done[4];
	freeze_end();
	outq_send(KIND_THAW, frame->stream, done, sizeof done);
}

void request_serve(const struct frame *frame)
{
	switch (frame->kind) {
	case KIND_EXEC:
		on_exec(frame);
		break;
	case KIND_STDIN:
		exec_stdin(frame->stream, frame->payload, frame->length);
		break;
	case KIND_EOF:
		exec_eof(frame->stream);
		break;
	case KIND_WINDOW:
		on_window(frame);
		break;
	case KIND_RESIZE:
		on_resize(frame);
		break;
	case KIND_SIGNAL:
		on_signal(frame);
		break;
	case KIND_SHUTDOWN:
		on_shutdown(frame);
		break;
	case KIND_TIME:
		on_time(frame);
		break;
	case KIND_FACTS:
		on_facts(frame);
		break;
	case KIND_COMMITTED:
		on_committed(frame);
		break;
	case KIND_FREEZE:
		freeze_begin(frame->stream);
		break;
	case KIND_THAW:
		on_thaw(frame);
		break;
	case KIND_PING:
		outq_send(KIND_PONG, frame->stream, frame->payload, frame->length);
		break;
	default:
		break;
	}
}
