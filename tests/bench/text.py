"""What all default filters cost for each token of four characters, in microseconds: ``python tests/bench/text.py``."""

import time

import numpy as np

from saystream.common.text_rules import TextRules
from saystream.workers.text.pipeline import Pipeline

PROSE = (
    "The old harbour was quiet that morning, and the boats lay still in the grey water. Nobody had told the captain "
    'that the tide would turn before noon; he sat on the quay and drank his coffee. "We leave at ten," he said, "or we '
    "don't leave at all.\" There were 12 of them, and each had brought something: bread, rope, a lamp. "
)
ANSWER = (
    "## How to begin\n\nTo get started, there are **three things** to take care of before anything else is done. "
    "Most people find that the first one takes the longest, see the "
    "[guide](https://example.com/guide):\n\n- **Choose a place**: a "
    "quiet room with good light, and a table that is large enough\n- **Gather the tools** that "
    "the list in chapter two names\n"
    "- *Read* all of it once, with `notes` beside you\n\nAfter that, the rest is only a matter of patience 🙂.\n\n"
)
MARKS = (
    "# Start\n\n**What you need**, see the [docs](https://example.com/docs):\n\n- *First* item with `code` in it\n"
    "- Second item, **bold**\n1. Install `uv`\n2. Run it\n\n```python\nprint(1)\n```\n\n"
    "| a | b |\n|---|---|\n| 1 | 2 |\n\n"
    "That is all 👍. Mail me@example.com &amp; go.\n\n"
)


def measure(text: str) -> tuple[float, float, float]:
    """Return median, mean and 99th percentile, in microseconds: the best of five rounds."""
    tokens = [text[at : at + 4] for at in range(0, len(text), 4)]
    rounds = []
    for _ in range(5):
        pipeline, times_us = Pipeline(TextRules(), "en"), []
        for token in tokens:
            begun = time.perf_counter_ns()
            pipeline.feed(token)
            times_us.append((time.perf_counter_ns() - begun) / 1000)
        rounds.append((float(np.median(times_us)), float(np.mean(times_us)), float(np.percentile(times_us, 99))))
    return min(rounds)


def main() -> None:
    for name, text in (("English prose", PROSE), ("an answer in Markdown", ANSWER), ("little but marks", MARKS)):
        median, mean, late = measure(text * 20)
        print(f"{name:24} median {median:5.1f}  mean {mean:5.1f}  p99 {late:5.1f} µs/token")  # noqa: T201


if __name__ == "__main__":
    main()
