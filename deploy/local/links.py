"""Links of an alert that open from outside: what is rewritten and which flags are set for one address of all parts.

Below that address a proxy of yours has /prometheus, /alertmanager and /monitor, and takes these prefixes away
(docs/kubernetes.md). The rules in git stay as they are.
"""

import re

_RUNBOOK = re.compile(r"^( *)runbook_url: docs/runbooks/(\w+)\.md$", re.MULTILINE)


def with_links(rules: str, external_url: str) -> str:
    """YAML of rules whose runbooks are those that the monitor serves, and that name its page; "": as they are.

    >>> print(with_links("  runbook_url: docs/runbooks/Down.md", "https://ops.example"))
      runbook_url: https://ops.example/monitor/runbooks/Down
      page_url: https://ops.example/monitor/
    """
    if not external_url:
        return rules
    at = f"{external_url}/monitor/"
    return _RUNBOOK.sub(rf"\1runbook_url: {at}runbooks/\2\n\1page_url: {at}", rules)


def link_flags(external_url: str, part: str) -> list[str]:
    """Flags with which Prometheus or Alertmanager writes links to itself; "": none."""
    return [f"--web.external-url={external_url}/{part}", "--web.route-prefix=/"] if external_url else []
