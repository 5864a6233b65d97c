"""geo_resources.machine: what a container may take, by both kinds of control groups"""

import os
import subprocess
import sys

import psutil
import pytest

from geo_cli import machine_checks
from geo_cli.machine_checks import check_memory
from geo_resources import machine

HOST = psutil.virtual_memory().total
ALL = len(os.sched_getaffinity(0))
UNBOUND = str(2**63 - 4096)  # what version 1 says of a group without a limit
GB = 2**30

MEMORY = {
    "no control groups": ({}, HOST),
    "version 2, a container with a namespace of its own": (
        {"proc/self/cgroup": "0::/", "sys/fs/cgroup/memory.max": f"{GB}\n"},
        GB,
    ),
    "version 2, no limit": (
        {"proc/self/cgroup": "0::/", "sys/fs/cgroup/memory.max": "max\n"},
        HOST,
    ),
    "version 2, the slice around it has less": (
        {
            "proc/self/cgroup": "0::/strata.slice/web.service",
            "sys/fs/cgroup/strata.slice/memory.max": f"{GB}",
            "sys/fs/cgroup/strata.slice/web.service/memory.max": f"{2 * GB}",
        },
        GB,
    ),
    "version 2, a group outside of what is mounted": (
        {"proc/self/cgroup": "0::/../other", "sys/fs/cgroup/memory.max": f"{GB}"},
        GB,
    ),
    "version 1": (
        {
            "proc/self/cgroup": "4:memory:/pod\n2:cpuacct,cpu:/pod\n0::/",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": UNBOUND,
            "sys/fs/cgroup/memory/pod/memory.limit_in_bytes": f"{GB}",
        },
        GB,
    ),
    "version 1, the path is that of the host": (
        {
            "proc/self/cgroup": "4:memory:/docker/4f0c",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": f"{GB}",
        },
        GB,
    ),
    "more than the machine has": (
        {"proc/self/cgroup": "0::/", "sys/fs/cgroup/memory.max": f"{HOST + GB}"},
        HOST,
    ),
}
CORES = {
    "no control groups": ({}, ALL),
    "version 2": (
        {"proc/self/cgroup": "0::/", "sys/fs/cgroup/cpu.max": "50000 100000"},
        1,
    ),
    "version 2, one and a half": (
        {"proc/self/cgroup": "0::/", "sys/fs/cgroup/cpu.max": "150000 100000"},
        min(ALL, 2),
    ),
    "version 2, no limit": (
        {"proc/self/cgroup": "0::/", "sys/fs/cgroup/cpu.max": "max 100000"},
        ALL,
    ),
    "version 1": (
        {
            "proc/self/cgroup": "2:cpuacct,cpu:/pod",
            "sys/fs/cgroup/cpu/pod/cpu.cfs_quota_us": "100000",
            "sys/fs/cgroup/cpu/pod/cpu.cfs_period_us": "100000",
        },
        1,
    ),
    "version 1, no limit": (
        {
            "proc/self/cgroup": "2:cpuacct,cpu:/",
            "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1",
            "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000",
        },
        ALL,
    ),
}


def laid_out(root, files):
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return root


@pytest.mark.parametrize(("files", "expected"), MEMORY.values(), ids=MEMORY)
def test_memory_is_the_least_of_all_limits(tmp_path, files, expected):
    assert machine.memory_bytes(laid_out(tmp_path, files)) == expected


def test_doctor_refuses_a_container_in_which_no_file_has_room(monkeypatch):
    assert check_memory().ok
    half = GB // 2
    monkeypatch.setattr(machine_checks, "memory_bytes", lambda: half)
    finding = check_memory()
    assert not finding.ok
    assert finding.found.startswith("0.5 GB and ")
    assert finding.expected == "0.75 GB or more"


@pytest.mark.parametrize(("files", "expected"), CORES.values(), ids=CORES)
def test_cores_are_what_the_quota_pays_for(tmp_path, files, expected):
    assert machine.cores(laid_out(tmp_path, files)) == expected


def test_a_group_of_any_name_is_found(tmp_path):
    """Names of groups are bytes, and this is read wherever a run starts."""
    files = {"sys/fs/cgroup/odd\udcff/memory.max": f"{GB}", "proc/self/cgroup": ""}
    laid_out(tmp_path, files)
    (tmp_path / "proc/self/cgroup").write_bytes(b"0::/odd\xff\n")
    assert machine.memory_bytes(tmp_path) == GB


def test_cores_are_known_where_processes_are_not_bound_to_them(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.delattr(os, "sched_getaffinity")
    assert machine.cores(tmp_path) == os.cpu_count()


def test_cores_are_those_that_the_process_may_run_on():
    first = str(min(os.sched_getaffinity(0)))
    script = "from geo_resources import machine; print(machine.cores())"
    ran = subprocess.run(
        ["taskset", "--cpu-list", first, sys.executable, "-c", script],
        check=True,
        capture_output=True,
        text=True,
    )
    assert ran.stdout == "1\n"
