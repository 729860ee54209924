"""`billing serve --only entitlements` becomes this process, so that nothing of the rest is ever loaded into it."""

import argparse
import sys

from billing.kernel.serving import serve
from billing.kernel.settings import EXIT_CONFIGURATION, BadSettings, Standing, load_as
from entitlements.listed import read_features


def main() -> None:
    """Serve the front desk; exit 78 after naming every fault of the settings that it needs."""
    parser = argparse.ArgumentParser(prog="billing serve --only entitlements")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8080)
    where = parser.parse_args()
    try:
        settings = load_as(Standing)
        read_features(settings.catalog)
    except BadSettings as fault:
        sys.stderr.writelines(f"{line}\n" for line in fault.lines)
        sys.exit(EXIT_CONFIGURATION)
    serve("entitlements.app:create", where.host, where.port, settings.web_workers)


if __name__ == "__main__":
    main()
