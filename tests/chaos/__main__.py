"""make chaos: break everything on purpose, and count what is lost.

Exit code 1 if a record is lost, out of order or repeated without reason, if a processor comes
back too late or not at all, or if the daemon does not go on. The seed is printed: the same one
tells the same story again, as far as a machine's timing lets it.
"""

import argparse
import asyncio
import json
import random
import sys
from functools import partial
from pathlib import Path

from tests.chaos.campaign import NAMES, campaign
from tests.chaos.play import Plan
from tests.chaos.report import table


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    parser.add_argument("--faults", nargs="+", metavar="NAME", default=NAMES, choices=NAMES,
                        help=f"only these: {', '.join(map(repr, NAMES))}")  # fmt: skip
    parser.add_argument("--kills", type=int, default=100, help="kill -9, so many times [100]")
    parser.add_argument("--each", type=int, default=30, help="every other fault [30]")
    patience = "patience with a slow machine: every limit times this [1]"
    parser.add_argument("--times-scale", type=float, default=1.0, help=patience)
    pace = "how fast the cameras are; 0.5 where the machine is busy [1]"
    parser.add_argument("--pace", type=float, default=1.0, help=pace)
    parser.add_argument("--minutes", type=float, default=90.0, help="inject nothing after [90]")
    parser.add_argument("--json", type=Path, metavar="FILE", help="the table, for machines")
    options = parser.parse_args()
    say = partial(print, flush=True)
    say(f"seed {options.seed}")
    plan = Plan(
        options.seed,
        options.each,
        options.kills,
        times_scale=options.times_scale,
        minutes=options.minutes,
        pace=options.pace,
        say=say,
    )
    rows = asyncio.run(campaign(plan, options.faults))
    say(f"\n{table(rows)}")
    is_good = all(row.is_good for row in rows)
    if options.json:
        found = {"seed": options.seed, "good": is_good, "rows": [row.as_json() for row in rows]}
        options.json.write_text(json.dumps(found, indent=2) + "\n")
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
