"""A page of the documentation, whose blocks of code are run as they stand there."""
import re


def blocks(text, language):
    """Its blocks of this language, in their order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, flags=re.M | re.S)
