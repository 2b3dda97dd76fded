"""What the columns of labels in the prediction log were called before tasks had a schema: `windsock log migrate`."""

from typing import Final

RENAMED: Final = {"late": "value", "landed_at": "outcome_at"}
