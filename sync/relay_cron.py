#!/usr/bin/env python3
"""One cycle of the relay for cron: silent when all is well, so that cron mails what is not.

    */5 * * * *  eme  /opt/eme/bin/python /opt/eme/sync/relay_cron.py /etc/eme/relay.yaml

What failed, waits or is stuck is printed and ends with the exit code of `eme sg apply`. A cycle
that finds another one at work leaves it alone.
"""

from __future__ import annotations

import json
import sys


def main(arguments: list[str]) -> int:
    """Run one cycle by the configuration that is named; return the exit code."""
    if len(arguments) != 1:
        print("usage: relay_cron.py CONFIG", file=sys.stderr)
        return 2
    from click.testing import CliRunner

    from eme_connector.cli import main as eme

    words = ["--config", arguments[0], "sg", "apply", "--json"]
    sys.argv = ["eme", *words]
    done = CliRunner().invoke(eme, words)
    try:
        found = json.loads(done.stdout.strip().splitlines()[-1])
    except (IndexError, ValueError):
        found = {"detail": done.output.strip() or repr(done.exception)}
    targets = found.get("targets", [])
    told = [one for one in targets if one["state"] != "converged" and one["reason"] != "busy"]
    if targets and not told:
        return 0
    for one in told:
        print(f"{one['target']}: {one['state']} {one['reason']} {one['detail']}".rstrip())
        for each in [*one["differences"], *one.get("failed", ())]:
            who = each.get("member_name") or each.get("member", "")
            waits = each.get("hold") or each.get("reason") or each.get("verdict", "")
            print(f"  {each['word']}: {each['name']} {who} ({waits})")
            if each.get("remedy"):
                print(f"    {each['remedy']}")
        for confirm in dict.fromkeys(o["confirm"] for o in one["differences"] if o.get("confirm")):
            again = f"eme --config {arguments[0]} sg apply {one['target']} --confirm {confirm}"
            print(f"  if exactly that is true: {again}")
    if not targets:
        print(found.get("detail", found))
    return done.exit_code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
