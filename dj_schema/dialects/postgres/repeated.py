"""Which statements come again and again, so that the server should parse them once. The driver sends them."""

from __future__ import annotations

from collections.abc import Sequence

_VERBS = ("SELECT ", "INSERT ", "UPDATE ", "DELETE ", "WITH ")
_WORTH_AFTER = 3  # times that a text came
_MOST_TEXTS = 2_000
_MOST_NAMES = 500


class RepeatedText:
    """A text, how often it came, and its names on the server by the types of its values."""

    __slots__ = ("n_places", "n_times", "names", "numbered")

    def __init__(self, text: str) -> None:
        pieces = text.replace("%%", "\0").split("%s")
        # a place of another form than %s is left to psycopg
        is_known = text.lstrip().startswith(_VERBS) and not any("%" in piece for piece in pieces)
        numbered = "".join([f"{piece}${i}" for i, piece in enumerate(pieces[:-1], 1)]) + pieces[-1]
        self.numbered = numbered.replace("\0", "%").encode() if is_known else b""
        self.n_places = len(pieces) - 1
        self.n_times = 0
        self.names: dict[tuple[int, ...], bytes] = {}


class RepeatedTexts:
    """Those of one session.

    Attributes
    ----------
    has_stale_names : bool
        The server still keeps statements that nobody will send again.
    """

    def __init__(self) -> None:
        self._texts: dict[str, RepeatedText] = {}
        self._n_names = 0
        self._n_ever = 0
        self.has_stale_names = False

    def worth_preparing(self, text: str, params: Sequence[object]) -> RepeatedText | None:
        """Count a text; return it where it came often enough, and can be sent by name."""
        known = self._texts.get(text) or self._new(text)
        if known.n_times < _WORTH_AFTER:
            known.n_times += 1
            return None
        return known if known.numbered and len(params) == known.n_places else None

    def _new(self, text: str) -> RepeatedText:
        if len(self._texts) >= _MOST_TEXTS:
            self.forget()
        new = self._texts[text] = RepeatedText(text)
        return new

    def new_name(self) -> bytes:
        """Return a name that no other statement of the session has had."""
        if self._n_names >= _MOST_NAMES:
            self.forget()
        self._n_names += 1
        self._n_ever += 1
        return b"dj_%d" % self._n_ever

    def forget(self) -> None:
        """Begin anew: tables may have changed, or there are too many."""
        self._texts.clear()
        self.has_stale_names = self.has_stale_names or self._n_names > 0
        self._n_names = 0
