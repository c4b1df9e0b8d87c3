import { describe, expect, it } from '@jest/globals';
import type { Envelope } from '@posthorn/contracts';
import { EventInput } from './event-input.js';
import { compileFilter, compileTransform } from './expression.js';

/**
 * What the CEL specification demands (github.com/google/cel-spec, doc/langdef.md), in the groups of its conformance suite, with cases of our own. An expression
 * is expected to be true, or to be an error: of one that is false its negation stands here. Where we mean to differ it is in a group of its own, at the end.
 */
const envelope: Envelope = { specversion: '1.0', id: 'e', tenant: 't', type: 'a', source: '/', time: '2026-03-04T05:06:07Z', acceptedtime: '2026-03-04T05:06:07Z' };

const data = { x: 3, half: 0.5, text: 'mül', flag: false, none: null, list: [1, 2, 3], deep: [[1], [2, 3]], map: { a: 1, 'b-c': 2, n: null }, rows: [{ k: 'a', v: 1 }, { k: 'b' }] };
const input = new EventInput(envelope, Buffer.from(JSON.stringify(data)));

/** True, false, or that it fails: when it is made or when it is evaluated. */
const outcomeOf = (text: string): boolean | 'error' => {
  const compiled = compileFilter(text);
  if (compiled.kind === 'refused') return 'error';
  const { matches, reason } = { reason: undefined, ...compiled.filter.judge(input) };
  return reason === undefined ? matches : 'error';
};

const holds: Readonly<Record<string, readonly string[]>> = {
  basic: [
    '0 == 0 && -7 == 0 - 7 && 12 != 21',
    '0x2A == 42 && -0x10 == -16',
    '1.5 == 15e-1 && 2e3 == 2000.0 && -0.25 < 0.0',
    "'single' == \"single\" && '''three''' == \"\"\"three\"\"\"",
    'r"\\d" == "\\\\d"',
    "'\\u00fc' == 'ü' && '\\U0001F994' == '🦔' && '\\x41' == 'A' && '\\101' == 'A'",
    "'a\\tb\\n'.size() == 4 && '\\'' == \"'\" && '\\\\'.size() == 1",
    'true != false && null == null',
    '[] == [] && {} == {} && [[]] != []',
    '(1 + 2) * 3 == 9 && 1 + 2 * 3 == 7 && -(2 - 5) == 3',
    '// a comment\ntrue',
    'type(1) != type("1") && type(type(1)) == type',
  ],
  comparisons: [
    '1 < 2 && 2 <= 2 && 3 > 2 && 3 >= 3',
    '!(2 < 1) && !(1 > 1)',
    '-9223372036854775808 < 9223372036854775807',
    '0.1 < 0.2 && 1e300 > 1e299 && -0.5 >= -0.5',
    "'Abc' < 'abc' && 'a' < 'aa' && '' < 'a' && 'z' > 'ab'",
    'false < true && true >= true',
    'timestamp("2026-01-01T00:00:00Z") < timestamp("2026-01-01T00:00:01Z")',
    'duration("1m") > duration("59s") && duration("60s") == duration("1m")',
    'dyn(1) == 1.0 && dyn(2.0) == 2 && dyn(1) != 1.5',
    'dyn(1) < 1.5 && dyn(2.5) > 2 && dyn(3) >= 3.0',
    'dyn("1") != 1 && dyn(null) != false && dyn(true) != 1',
    '[1, 2] == [1, 2] && [1, 2] != [2, 1] && dyn([1]) == [1.0]',
    '{"a": 1, "b": 2} == {"b": 2, "a": 1} && {"a": 1} != {"a": 2} && {"a": 1} != {"b": 1}',
    '{"a": [1, {"b": null}]} == {"a": [1, {"b": null}]}',
    '1 in [3, 2, 1] && !(4 in [1]) && dyn(1.0) in [1] && "a" in {"a": 0} && !("b" in {"a": 0})',
    '!(1 in [])',
    'double("NaN") != double("NaN") && !(double("NaN") < 1.0) && !(double("NaN") >= 1.0)',
    'data.none == null && data.x != null && data.map.n == null',
    "'𐀀' > '\\uffee'",
  ],
  logic: [
    'true && true && !(true && false) && (true || false) && !(false || false)',
    '!false && !!true',
    'true ? 1 == 1 : 1 / 0 == 0',
    '!(false ? true : false)',
    // One operand decides, wherever it stands; an error of the other does not matter.
    '!(false && 1 / 0 == 1) && !(1 / 0 == 1 && false)',
    '(true || 1 / 0 == 1) && (1 / 0 == 1 || true)',
    '!(data.nope && false) && (data.nope || true)',
    'data.flag ? false : true',
  ],
  fields: [
    '{"a": 1}.a == 1 && {"a": 1}["a"] == 1',
    '{"a": {"b": [7]}}.a.b[0] == 7',
    'data.map.a == 1 && data.map["b-c"] == 2',
    'has({"a": 1}.a) && !has({"a": 1}.b) && has(data.map.n)',
    'has(data.rows[0].v) && !has(data.rows[1].v)',
    'has({}.a) == false',
    'has(data.list.map(i, {"i": i})[0].i)',
    'dyn({"a": 1}.b) || true',
    '!(data.map.nope && false)',
    '"a" in data.map && !("z" in data.map) && !("toString" in data.map)',
  ],
  lists: [
    '[1, 2] + [3] == [1, 2, 3] && [] + [1] == [1] && [] + [] == []',
    '[7, 8, 9][0] == 7 && [7, 8, 9][2] == 9 && [[1], [2]][1][0] == 2',
    'data.list[dyn(1.0)] == 2',
    'size([]) == 0 && [1, 2].size() == 2 && size(data.deep) == 2',
    '"b" in ["a", "b"] && !("c" in ["a", "b"])',
    'null in [1, null] && [1] in [[1], [2]]',
  ],
  macros: [
    '[1, 2, 3].all(x, x > 0) && ![1, 2, 3].all(x, x > 1) && [].all(x, x > 0)',
    '[1, 2, 3].exists(x, x == 2) && ![1, 2].exists(x, x == 3) && ![].exists(x, x > 0)',
    '[1, 2].exists_one(x, x > 1) && ![1, 2].exists_one(x, x > 0) && ![].exists_one(x, true)',
    '[1, 2, 3].map(x, x * 2) == [2, 4, 6] && [].map(x, x / 2) == [] && [1, 2, 3].map(x, x > 1, x + 1) == [3, 4]',
    '[1, 2, 3].filter(x, x % 2 == 1) == [1, 3] && [].filter(x, true) == []',
    '{"a": 1, "b": 2}.all(k, k < "c") && {"a": 1}.exists(k, k == "a") && {"a": 1, "b": 1}.filter(k, k == "b") == ["b"]',
    '{"a": 1, "b": 2}.map(k, k).size() == 2 && {"a": 1, "b": 2}.exists_one(k, k > "a")',
    // An error counts only where no other turn decides.
    '![0, 1].all(x, 1 / x > 1) && [0, 1].exists(x, 1 / x == 1)',
    '["x", 1].exists(v, v == 1) && ![1, "x"].all(v, v == "x")',
    '[[1, 2], [3]].all(row, row.exists(x, x == 1 || x == 3))',
    '[1].all(x, [2].all(x, x == 2) && x == 1)',
    'data.deep.map(row, row.size()) == [1, 2]',
  ],
  string: [
    'size("") == 0 && size("mül") == 3 && "🦔🦔".size() == 2',
    '"" + "a" + "ü" == "aü"',
    '"posthorn".startsWith("post") && "posthorn".startsWith("") && !"post".startsWith("posthorn")',
    '"posthorn".endsWith("horn") && !"posthorn".endsWith("Horn") && "🦔x".endsWith("x")',
    '"posthorn".contains("tho") && "a".contains("") && !"".contains("a")',
    '"abc".matches("b") && "abc".matches("^a.c$") && !"abc".matches("^b") && matches("", "^$") && "a\\nb".matches("(?s)a.b")',
    '"mül".matches("^\\\\p{L}+$") && "k1".matches("[[:alpha:]]\\\\d")',
    '"ABC".lowerAscii() == "abc" && "ÄBc".lowerAscii() == "Äbc" && "abü".upperAscii() == "ABü"',
    '" \\t a b\\n".trim() == "a b" && "\\u00a0\\u2003x\\u0085".trim() == "x" && "\\ufeffx".trim() != "x" && "".trim() == ""',
    '"a,b,,c".split(",") == ["a", "b", "", "c"] && "ab".split("") == ["a", "b"] && "a".split(",") == ["a"]',
    '["a", "b"].join() == "ab" && ["a", "b"].join(", ") == "a, b" && [].join("-") == ""',
    '"banana".replace("an", "AN") == "bANANa" && "abc".replace("x", "y") == "abc" && "ab".replace("", "-") == "-a-b-"',
    '"posthorn".indexOf("h") == 4 && "posthorn".indexOf("z") == -1 && "abc".indexOf("") == 0',
    '"posthorn".substring(4) == "horn" && "posthorn".substring(0, 4) == "post" && "abc".substring(3) == ""',
    '"🦔x🦔".indexOf("x") == 1 && "🦔x🦔".substring(1, 2) == "x" && "🦔x".substring(1) == "x" && "🦔x".split("") == ["🦔", "x"] && "🦔".replace("", ".") == ".🦔."',
  ],
  integer_math: [
    '2 + 3 == 5 && 2 - 5 == -3 && 4 * -3 == -12',
    '7 / 2 == 3 && -7 / 2 == -3 && 7 / -2 == -3 && -7 / -2 == 3',
    '7 % 3 == 1 && -7 % 3 == -1 && 7 % -3 == 1 && 43 % 3 == 1',
    '9223372036854775807 - 1 == 9223372036854775806',
    '-9223372036854775808 + 9223372036854775807 == -1',
    '-(-5) == 5 && -0 == 0',
    '5 - 5 - 5 == -5 && 8 / 2 / 2 == 2 && 5 * 3 % 4 == 3',
  ],
  fp_math: [
    '0.5 + 0.25 == 0.75 && 1.5 - 2.0 == -0.5 && 0.5 * -4.0 == -2.0 && 1.0 / 8.0 == 0.125',
    '0.1 + 0.2 != 0.3',
    '1.0 / 0.0 == double("Infinity") && -1.0 / 0.0 == double("-Infinity")',
    '0.0 / 0.0 != 0.0 / 0.0',
    '1e308 * 10.0 == double("Infinity")',
    '-(1.5) == -1.5 && -0.0 == 0.0',
    '5e-324 > 0.0 && 5e-324 / 2.0 == 0.0',
  ],
  conversions: [
    'int(3.9) == 3 && int(-3.9) == -3 && int("-42") == -42 && int(7) == 7',
    'int(timestamp("1970-01-01T00:01:00.9Z")) == 60',
    'double(3) == 3.0 && double("1e3") == 1000.0 && double("-.5") == -0.5 && double(1.5) == 1.5',
    'string(1) == "1" && string(-1.5) == "-1.5" && string(true) == "true" && string("s") == "s" && string(1e21) == "1e+21"',
    'string(timestamp("2026-03-04T05:06:07Z")) == "2026-03-04T05:06:07Z" && string(timestamp("2026-03-04T05:06:07.5Z")) == "2026-03-04T05:06:07.500Z"',
    'string(duration("90m")) == "5400s" && string(duration("1.5s")) == "1.5s"',
    'bool("true") && bool("True") && bool("TRUE") && bool("t") && bool("1")',
    '!bool("false") && !bool("False") && !bool("FALSE") && !bool("f") && !bool("0") && bool(true)',
    'type(1) == int && type(1.0) == double && type("") == string && type(true) == bool && type(null) == null_type',
    'type([]) == list && type({}) == map && type(int) == type && type(type(1)) == type',
    'dyn(1) == 1 && dyn("a") == "a"',
    'duration("1h2m3s") == duration("3723s") && duration("-1.5h") == duration("-90m") && duration("3ms") > duration("2999us")',
    'timestamp(0) == timestamp("1970-01-01T00:00:00Z")',
  ],
  timestamps: [
    'timestamp("2009-02-13T23:31:30Z") == timestamp("2009-02-14T00:31:30+01:00")',
    'timestamp("2026-03-04T05:06:07Z") + duration("1h") == timestamp("2026-03-04T06:06:07Z")',
    'timestamp("2026-03-04T05:06:07Z") - duration("7s") == timestamp("2026-03-04T05:06:00Z")',
    'timestamp("2026-03-04T05:06:07Z") - timestamp("2026-03-04T05:00:00Z") == duration("367s")',
    'duration("1h") + duration("1m") == duration("61m") && duration("1h") - duration("2h") == duration("-1h")',
    'timestamp("2026-12-31T23:59:59.123Z").getFullYear() == 2026 && timestamp("2026-12-31T23:59:59Z").getMonth() == 11',
    'timestamp("2026-12-31T23:59:59Z").getDate() == 31 && timestamp("2026-12-31T23:59:59Z").getDayOfMonth() == 30',
    'timestamp("2024-12-31T00:00:00Z").getDayOfYear() == 365 && timestamp("2026-01-01T00:00:00Z").getDayOfYear() == 0',
    'timestamp("2026-03-01T00:00:00Z").getDayOfWeek() == 0 && timestamp("2026-03-07T00:00:00Z").getDayOfWeek() == 6',
    'timestamp("2026-03-01T13:14:15.167Z").getHours() == 13 && timestamp("2026-03-01T13:14:15.167Z").getMinutes() == 14',
    'timestamp("2026-03-01T13:14:15.167Z").getSeconds() == 15 && timestamp("2026-03-01T13:14:15.167Z").getMilliseconds() == 167',
    'duration("10000s").getHours() == 2 && duration("3730s").getMinutes() == 62 && duration("3730s").getSeconds() == 3730',
    'timestamp("0001-01-01T00:00:00Z") < timestamp("9999-12-31T23:59:59.999Z")',
    'duration("315576000000s") > duration("-315576000000s")',
  ],
};

const fails: Readonly<Record<string, readonly string[]>> = {
  basic: ['nope == 1', 'nope(1) == 1', '1 +', '"open', 'true && ', "'\\z' == 'z'", 'in == 1'],
  comparisons: ['dyn("a") < 1', 'dyn(null) < 1', '[1] < [2]', '{"a": 1} > {"a": 0}', 'dyn(true) < 1', 'dyn(duration("1s")) < timestamp(0)'],
  logic: ['dyn(1) && true', 'dyn("true") ? true : false', '!dyn(0)', 'data.nope || false', 'data.nope && true', '1 / 0 == 1 || 1 / 0 == 2'],
  fields: ['{"a": 1}.b == 1', '{"a": 1}["b"] == 1', 'dyn(1).a == 1', 'dyn("text").a == 1', 'has(data.nope.x)', 'data.none.x == 1', 'data.list.x == 1', '{}.a == 1'],
  lists: ['[1][1] == 1', '[1][-1] == 1', '[][0] == 1', '[1]["0"] == 1', 'data.list[dyn(0.5)] == 1', '[1] + 1 == [1, 1]', '1 in 1', 'size(1) == 1'],
  macros: ['[0].all(x, 1 / x > 0)', '[0, 1].exists(x, 1 / x > 1)', '[0, 1].exists_one(x, 1 / x == 1)', '[0].map(x, 1 / x) == []', '[0].filter(x, 1 / x == 1) == []', '[1].all(x, x)', 'data.x.all(x, true)', '[1].all(1, true)', '[1].map(x) == []'],
  string: ['"a".startsWith(1)', 'data.x.contains("a")', '"a" + 1 == "a1"', '"a".matches("(")', '"a".matches("(?=a)")', '"abc".substring(4) == ""', '"abc".substring(2, 1) == ""', '"abc".substring(-1) == ""', '[1].join() == "1"', '"ab".charAt() == ""'],
  integer_math: ['1 / 0 == 0', '1 % 0 == 0', '9223372036854775807 + 1 > 0', '-9223372036854775808 - 1 < 0', '9223372036854775807 * 2 > 0', '-(-9223372036854775808) > 0', '-9223372036854775808 / -1 > 0', '9223372036854775808 > 0'],
  fp_math: ['1.0 + "1" == 2.0', '-"1" == 1.0'],
  conversions: ['int("1.5") == 1', 'int("") == 0', 'int(1e19) > 0', 'int(-9223372036854775808.0) < 0', 'int(9223372036854775808.0) > 0', 'int(double("NaN")) == 0', 'int("9223372036854775808") > 0', 'int(null) == 0', 'double("one") == 1.0', 'double("") == 0.0', 'bool("tRuE")', 'bool("yes")', 'bool(1)', 'string(null) == ""', 'string([]) == ""', 'duration("1") == duration("1s")', 'duration("1d") == duration("24h")', 'timestamp("2026-03-04") == timestamp(0)', 'timestamp("2026-02-30T00:00:00") == timestamp(0)'],
  timestamps: ['timestamp("9999-12-31T23:59:59Z") + duration("1s") > timestamp(0)', 'timestamp("0001-01-01T00:00:00Z") - duration("1s") < timestamp(0)', 'timestamp(253402300800) > timestamp(0)', 'timestamp(-62135596801) < timestamp(0)', 'timestamp("0000-01-01T00:00:00Z") < timestamp(0)', 'timestamp("10000-01-01T00:00:00Z") > timestamp(0)', 'duration("315576000001s") > duration("0s")', 'duration("200000000000s") + duration("200000000000s") > duration("0s")', 'duration("-200000000000s") - duration("200000000000s") < duration("0s")', 'timestamp(0) + timestamp(0) > timestamp(0)', 'duration("1s").getFullYear() == 0'],
};

const cases = (table: Readonly<Record<string, readonly string[]>>) => Object.entries(table).flatMap(([group, texts]) => texts.map((text) => [group, text] as const));

describe("CEL's conformance", () => {
  it.each(cases(holds))('%s: %s', (_, text) => expect(outcomeOf(text)).toBe(true));

  it.each(cases(fails))('%s: %s is an error', (_, text) => expect(outcomeOf(text)).toBe('error'));
});

describe('where we mean to differ', () => {
  it.each([
    // JSON has one kind of number: CEL has no overload for an int with a double, and would refuse the first of these.
    'data.x * 2 == 6 && data.half + 1 == 1.5',
    // Exactly, where CEL may convert the int to a double first.
    '9223372036854775807 < dyn(9223372036854775808.0)',
  ])('%s', (text) => expect(outcomeOf(text)).toBe(true));

  it.each(['{1: "one"}[1] == "one"', '{true: 1}[true] == 1', 'b"a" == b"a"', '1u == 1u', 'data.?x == 1', 'timestamp(0).getHours("+01:00") == 1', 'data.map.`b-c` == 2', '.5 == 0.5', 'data.true == 1'])(
    '%s is refused',
    (text) => expect(compileTransform(text).kind).toBe('refused'),
  );
});
