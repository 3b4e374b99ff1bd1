"""``python -m reference`` is ``python -m reference.verify``."""

import sys

from reference.verify import main

sys.exit(main())
