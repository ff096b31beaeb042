"""Arithmetic on sizes in a ``torch.export`` archive, which torch hands to ``eval`` (in sympy).

Looked at twice: as tokens, so that nothing stands there but numbers and words that sympy and torch
write, and as a tree, so that evaluating it takes no longer than writing it: ``9**9**9`` would fill
the memory. Exponents, shifts and precisions are therefore small numbers that stand there as such.
"""

import ast
import re
from collections.abc import Sequence

_TOKEN = re.compile(
    r"\s*(?:([^\W\d]\w*)|'([^']*)'|\d+(?:\.\d+)?(?!\w)|\*\*|//|[<>=!]=|[-+*/%(),<>=&|~])"
)
_SYMBOL = re.compile(r"z?[a-z]{1,2}\d+")
_NUMBER = re.compile(r"-?\d+(\.\d+)?")
_WORDS = re.compile(
    r"Symbol|Integer|Float|Rational|Add|Mul|Pow|Max|Min|Mod|Abs|Eq|Ne|Lt|Le|Gt|Ge|And|Or|Not|oo"
    r"|(Une|E)quality|(Strict)?(Less|Greater)Than|FloorDiv|ModularIndexing|Where|PythonMod|CleanDiv"
    r"|(Ceil|Floor|Trunc|Round)To(Int|Float)|CeilDiv|[LR]Shift|PowByNatural|FloatPow"
    r"|(Float|Int)TrueDiv|ToFloat|Identity|[Tt]rue|[Ff]alse|None|(non)?(positive|negative|zero)"
    r"|integer|real|finite|precision|dps|evaluate"
)
_POWERS = ("Pow", "PowByNatural", "FloatPow")
_SHIFTS = ("LShift", "RShift")
_PARTS = (
    *(ast.Expression, ast.Load, ast.Name, ast.Constant, ast.Call, ast.keyword, ast.Tuple),
    *(ast.UnaryOp, ast.USub, ast.UAdd, ast.Invert, ast.Compare, ast.cmpop),
    *(ast.BinOp, ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod, ast.Pow),
    *(ast.BitAnd, ast.BitOr),
)
_LONGEST = 100_000  # characters; a Swin for pictures of any size has one of 20,000
_LARGEST = 2**63
_MOST_POWER = 16  # of one number, nested powers multiplied
_MOST_SHIFT = 63
_MOST_DIGITS = 100  # of a float: 53 bits


def is_arithmetic(text: str) -> bool:
    """Whether this is arithmetic on sizes that is safe, and quick, to evaluate.

    Args:
        text: Such as ``Add(Symbol('s7', integer=True), Integer(2))``, or ``s7 + 2``.
    """
    if len(text) > _LONGEST or not _is_written_so(text):
        return False
    try:
        tree = ast.parse(text.strip(), mode="eval")
        return all(isinstance(node, _PARTS) for node in ast.walk(tree)) and _is_quick(tree.body, 1)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False


def _is_written_so(text: str) -> bool:
    place = 0
    while place < len(text):
        token = _TOKEN.match(text, place)
        if token is None:
            return not text[place:].strip()
        word, quoted = token.groups()
        if word and not _WORDS.fullmatch(word) and not _SYMBOL.fullmatch(word):
            return False
        if quoted is not None and not _SYMBOL.fullmatch(quoted) and not _NUMBER.fullmatch(quoted):
            return False
        place = token.end()
    return True


def _is_quick(node: ast.AST, power: int) -> bool:
    """Whether what stands here, taken to this power in the end, stays a number of some words."""
    if isinstance(node, ast.Constant):
        return _is_small(node.value)
    if isinstance(node, ast.keyword):
        return isinstance(node.value, ast.Constant | ast.Name) and _is_flag(node.value)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow):
        return _is_quick_power([node.left, node.right], power)
    if isinstance(node, ast.Call):
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        if not name[:1].isupper():  # a symbol cannot be called
            return False
        if name in _POWERS:
            return not node.keywords and _is_quick_power(node.args, power)
        if name in _SHIFTS and not (len(node.args) == 2 and _whole(node.args[1]) <= _MOST_SHIFT):
            return False
        if name == "Float" and len(node.args) != 1:  # a second one would be the precision
            return False
    return all(_is_quick(child, power) for child in ast.iter_child_nodes(node))


def _is_quick_power(operands: Sequence[ast.expr], power: int) -> bool:
    if len(operands) != 2:
        return False
    base, exponent = operands
    power *= max(1, _whole(exponent))
    return power <= _MOST_POWER and _is_quick(base, power)


def _whole(node: ast.expr) -> int:
    """The magnitude of a number, in whole ones, where that stands there; else too much of it."""
    match node:
        case ast.Constant(value=int(value)):
            return abs(value)
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int(value))):
            return abs(value)
        case ast.Call(func=ast.Name(id="Integer"), args=[argument], keywords=[]):
            return _whole(argument)
        case ast.Call(func=ast.Name(id="Rational"), args=[above, below], keywords=[]):
            return max(_whole(above), _whole(below))
    return _LARGEST


def _is_small(value: object) -> bool:
    if isinstance(value, str):  # a symbol, or a number within quotes
        return not _NUMBER.fullmatch(value) or abs(float(value)) <= _LARGEST
    return isinstance(value, int | float) and abs(value) <= _LARGEST


def _is_flag(node: ast.Constant | ast.Name) -> bool:
    if isinstance(node, ast.Name):
        return node.id in ("true", "false")
    value = node.value
    return value is None or (isinstance(value, int) and 0 <= value <= _MOST_DIGITS)
