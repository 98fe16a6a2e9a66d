"""The manual hosts in force: what two hosts files list, the operator's and the local one.

A file that is wrong leaves its last good list in force. The local file is changed by
edits, which wait until it has been read: others may have written it meanwhile.
"""

from collections.abc import Callable

from mirosd.core.cache_document import hosts_text, merge
from mirosd.payloads import CacheReadPayload

Edit = Callable[[tuple[str, ...]], tuple[str, ...]]


class HostsLists:
    """What was last read of both files. Hosts in their one spelling (core.addresses)."""

    def __init__(self, listed_path: str, local_path: str) -> None:
        self.local_path = local_path
        self._lists: dict[str, tuple[str, ...] | None] = {listed_path: None, local_path: None}
        self._problems: dict[str, str] = {}
        self._edits: list[Edit] = []

    @property
    def paths(self) -> tuple[str, ...]:
        """The operator's file and the local one."""
        return tuple(self._lists)

    @property
    def parts(self) -> tuple[tuple[str, ...], ...]:
        """The operator's hosts and the local ones."""
        return tuple(hosts or () for hosts in self._lists.values())

    @property
    def hosts(self) -> tuple[str, ...]:
        """All of them, the operator's first, none twice."""
        return merge(*self.parts)

    @property
    def is_known(self) -> bool:
        """Both files were read, or tried."""
        return None not in self._lists.values()

    @property
    def problem(self) -> str:
        """What is wrong with the files, each with its name; "" when nothing is."""
        return "; ".join(self._problems.values())

    def edit(self, edit: Edit) -> None:
        """Have the local list changed once its file has been read."""
        self._edits.append(edit)

    def take(self, cache: CacheReadPayload) -> str | None:
        """Take what was read of one file; give the text to write to the local one, None if nothing changes in it.

        Edits are dropped when the file they change cannot be read or written: `problem` says why.
        """
        before = self._lists[cache.file_name] or ()
        if cache.problem:
            self._problems[cache.file_name] = cache.problem
            self._lists[cache.file_name] = before
        else:
            self._problems.pop(cache.file_name, None)
            before = self._lists[cache.file_name] = tuple(cache.dict["hosts"])
        if cache.file_name != self.local_path:
            return None
        hosts = before
        for edit in self._edits:
            hosts = edit(hosts)
        self._edits.clear()
        return None if cache.problem or hosts == before else hosts_text(hosts)
