"""What machines used until now, as charts."""

import shutil
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from weft.cli.chart import draw_history, make_plain
from weft.cli.printing import can_print, print_json

if TYPE_CHECKING:
    from weft.client import Client

HOUR = 3600.0


def show_history(client: "Client", names: Sequence[str], since: float | None, output: str) -> None:
    """Of these machines, or of all that run; `since` is seconds since the epoch, an hour ago if it is None."""
    begin = time.time() - HOUR if since is None else since
    wanted = names or [str(view["name"]) for view in client.machines()]
    views = [client.history(name, since=begin) for name in wanted]
    if output == "json":
        print_json(views)
        return
    width = shutil.get_terminal_size().columns
    for number, view in enumerate(views):
        text = "\n".join(draw_history(view, width))
        print(("\n" if number else "") + (text if can_print(text) else make_plain(text)))
