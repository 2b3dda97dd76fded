"""Roles in words."""

from contracts.store.state import Desired, ReplicaState


def role_of(digest: str, desired: Desired) -> str:
    """The model's role, with the challenger's share; "" for none."""
    role = next((role for role, found in desired.digests().items() if found == digest), "")
    return f"{role} {desired.weight:.4g}" if role == "challenger" else role


def desired_line(desired: Desired) -> str:
    """What shall be."""
    return ", ".join(f"{role_of(digest, desired)}: {digest[:12]}" for digest in desired.digests().values())


def loaded_line(state: ReplicaState) -> str:
    """What a replica has."""
    return ", ".join(
        f"{role} {state.weight:.4g}: {digest[:12]}" if role == "challenger" else f"{role}: {digest[:12]}"
        for role, digest in state.loaded.items()
    )
