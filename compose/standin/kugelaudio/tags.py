"""The tags that KugelAudio knows in a text: `<break>`, `<spell>`, `<prosody>`."""

import re

TAG = r"<(?P<end>/?)(?P<name>break|spell|prosody)(?P<attributes>(?:\s[^<>]*)?)/?>"
"""One whole tag."""

BEGUN_TAG = re.compile(r"<(?:/?[a-z]{0,7}|/?(?:break|spell|prosody)\s[^<>]{0,60})\Z", re.IGNORECASE)
"""What may become a tag with the text that follows; what is longer is none."""
