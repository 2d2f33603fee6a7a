"""Small files that say to a server in walls of its own what it is to do: it reads them again when it is told to."""

from pathlib import Path


def tell(path: Path, text: str) -> bool:
    """Have a file say this, for whoever reads it; whether it said something else before."""
    if path.is_file() and path.read_text() == text:
        return False
    fresh = path.with_name(f".{path.name}")  # hidden: nobody takes it for one of theirs
    fresh.write_text(text)
    fresh.chmod(0o644)
    fresh.replace(path)
    return True
