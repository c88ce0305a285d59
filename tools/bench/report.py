"""Results as Markdown tables, which read well in a terminal too."""

import os
import platform

from measure import percentile

MS = 1e6
US = 1e3


def table(title, header, rows):
    widths = [max(len(str(row[i])) for row in [header, *rows]) for i in range(len(header))]

    def line(cells):
        return "| " + " | ".join(str(c).ljust(w) for c, w in zip(cells, widths)) + " |"

    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return "\n".join([f"### {title}", "", line(header), rule, *map(line, rows), ""])


def pair(times, unit=MS, digits=2):
    """p50 / p99, in milliseconds unless told."""
    if not times:
        return "-"
    middle, high = percentile(times, 0.5) / unit, percentile(times, 0.99) / unit
    return f"{middle:.{digits}f} / {high:.{digits}f}"


def ratio(times, base, share=0.5):
    """Of the medians, unless another percentile is wanted."""
    if not times or not base:
        return "-"
    return f"{percentile(times, share) / percentile(base, share):.2f}"


def machine():
    model = "unknown processor"
    with open("/proc/cpuinfo", encoding="utf-8") as info:
        for line in info:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    return f"{os.cpu_count()} x {model}, Linux {platform.release()}"


def command_table(results):
    """results: {mode: [(label, times, times of /bin/true in turn with it)]}"""
    modes = list(results)
    header = ["command"]
    for mode in modes:
        header += [f"{mode}: p50 / p99 ms", "/bin/true: p50 / p99 ms", "ratio"]
    rows = []
    for index, (label, _, _) in enumerate(results[modes[0]]):
        row = [label]
        for mode in modes:
            _, times, base = results[mode][index]
            row += [pair(times), pair(base), ratio(times, base)]
        rows.append(row)
    return table("Status of 20 services, whole command", header, rows)


def respawn_tables(results, names):
    """results: {(mode, size): {name: (times, lost)}}; the first name is the floor. A table a mode."""
    tables = []
    for mode in dict.fromkeys(mode for mode, _ in results):
        columns = [(size, found) for (its_mode, size), found in results.items() if its_mode == mode]
        header = ["supervisor"]
        for size, _ in columns:
            header += [f"{size} services: p50 / p99 ms", "ratio"]
        rows = [[name, *_respawn_cells(name, names[0], columns)] for name in names]
        tables.append(table(f"Service killed, until its replacement runs ({mode})", header, rows))
    return "\n".join(tables)


def _respawn_cells(name, floor, columns):
    cells = []
    for _, found in columns:
        times, lost = found.get(name, ([], 0))
        base = found.get(floor, ([], 0))[0]
        cells += [pair(times) + (f" ({lost} lost)" if lost else ""), ratio(times, base)]
    return cells


def footprint_table(results):
    """results: {name: {"processes", "kib", "kib_per_service", "wakeups"}}"""
    header = ["supervisor", "processes", "PSS, 20 services", "each further one", "wake-ups in 10 s"]
    rows = []
    for name, found in results.items():
        per_service = found.get("kib_per_service")
        rows.append([
            name,
            found["processes"],
            f"{found['kib'] / 1024:.1f} MiB",
            "-" if per_service is None else f"{per_service:.1f} KiB",
            found["wakeups"],
        ])
    return table("Memory and rest", header, rows)


def takeover_table(after_kill, living, failed, changed):
    rows = [
        ["of a living flocksd", pair(living), "1.00"],
        ["right after kill -9 of flocksd", pair(after_kill), ratio(after_kill, living)],
    ]
    text = table("`flocks status` answered, 20 services", ["when", "p50 / p99 ms", "ratio"], rows)
    codes = "all answers exit 0" if not failed else f"exit codes {sorted(failed)}"
    return text + f"\n{len(after_kill)} kills: {codes}; {changed} services touched.\n"
