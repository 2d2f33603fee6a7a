"""Exit statuses of commands that wait for a machine's end."""

from typing import Any

from weft.model.errors import Internal


def find_status(view: dict[str, Any]) -> int:
    """The exit status that a machine's end means. Raises Internal if it ended by no doing of its entry point."""
    end = view.get("exit") or {}
    if end.get("signal"):
        return 128 + int(end["signal"])
    if end.get("code") is not None:
        return int(end["code"])
    if view["state"] == "failed":
        raise Internal(f"machine {view['name']} failed: {view.get('reason') or end.get('reason') or 'no reason known'}")
    return 0
