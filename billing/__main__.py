"""`billing`, and `python -m billing`: the operator's tool, loaded quickly."""

from typing import Any, Final

from billing.kernel.serving import loaded

main: Final[Any] = loaded("billing.cli").main

if __name__ == "__main__":
    main()
