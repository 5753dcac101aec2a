"""``python -m renderbros_addon.cli``."""

from .main import main

raise SystemExit(main())
