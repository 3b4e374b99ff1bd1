"""How many cores this process may use: its affinity, and the quota of its cgroups."""

import os
from pathlib import Path


def available_cores() -> int:
    """Return the cores this process may use, at least one."""
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # not on Linux
        cores = os.cpu_count() or 1
    quota = cgroup_quota()
    return cores if quota is None else max(1, min(cores, int(quota + 0.5)))


def cgroup_quota(
    root: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")
) -> float | None:
    """Return the processor time that the cgroups allow, in cores, or None without a limit.

    A limit set on any group above the process's own holds for it too. Inside a
    container the process's own path may be one of the host: then the root is its group.
    """
    quotas = []
    try:
        # Names of groups may be any bytes.
        lines = [os.fsdecode(line) for line in own.read_bytes().splitlines()]
    except OSError:
        return None
    for line in lines:
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        if not controllers:  # version 2: one tree for everything
            read, tops = _quota_v2, [root, root / "unified"]
        elif "cpu" in controllers.split(","):
            read, tops = _quota_v1, [root / controllers, root / "cpu"]
        else:
            continue
        for top in tops:
            for group in (top, *_descent(top, path)):
                try:
                    quota = read(group)
                except (OSError, ValueError, ZeroDivisionError):
                    continue
                if quota is not None:
                    quotas.append(quota)
    return min(quotas, default=None)


def _descent(top: Path, path: str) -> list[Path]:
    """Return the folders on the way from `top` down to the group `path`."""
    parts = [part for part in path.split("/") if part not in ("", "..")]
    return [top.joinpath(*parts[: count + 1]) for count in range(len(parts))]


def _quota_v2(group: Path) -> float | None:
    quota, period = (group / "cpu.max").read_text().split()[:2]
    return None if quota == "max" else int(quota) / int(period)


def _quota_v1(group: Path) -> float | None:
    quota = int((group / "cpu.cfs_quota_us").read_text())
    return None if quota < 0 else quota / int((group / "cpu.cfs_period_us").read_text())
