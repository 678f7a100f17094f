// Package record says what a log record says: its fields, whether it passes a
// filter, where a text or a regular expression is found in a block of records, and
// which pattern it is an instance of.
//
// It owns no records, reads no files and keeps no time: it is given text. It stands
// on the standard library and backend/state alone, since sources, commands and
// panes all use it. Text is as it was written, or cleaned and masked; both work.
//
// # Fields
//
// [Get] looks a field up without parsing the rest: the members of a JSON object, at
// the top first and then in nested objects, wherever in the line the object begins;
// key=value pairs, in a JSON string too; and the columns of an access log. A name
// that is not there is tried by its usual other spellings (status, statusCode).
//
// # Filters
//
// [Compile] reads the language of `opsdeck logs --where` and of the console's
// filters once; [Filter.Match] then allocates nothing, but for JSON strings with
// escapes in them.
//
//	level>=warn status>=500           both: words side by side are joined by and
//	duration>1s or size>10MB          quantities with units
//	user=anna path~^/api not healthz  equal, regular expression, no such text
//	(timeout or "timed out") !~ ...   groups and quoted text
//	/time(d )?out/                    a regular expression over the whole text
//	@errors not @noise                filters that were given a name
//
// # Search
//
// A [Search] is looked for in whole blocks of lines: first a byte that is rare in
// logs, then the literal around it, and only where a literal that every match must
// hold was found, the line itself. A regular expression without such a literal
// runs as a lazily built automaton over the bytes, which may say yes too often and
// never no wrongly; what it says yes to is asked again of package regexp, so that
// the meaning is always that of package regexp.
//
// # Patterns
//
// [Patterns] clusters lines as Drain does (He, Zhu, Zheng and Lyu, "Drain: An Online
// Log Parsing Approach with Fixed Depth Tree", ICWS 2017): numbers, times, addresses
// and the like are masked, lines are led through a tree by their number of tokens
// and their first tokens, and join the most similar pattern there. Lines whose masked
// form was seen before skip the tree.
//
// # Why own code
//
// The Go ports of Drain that exist are not served by the module proxy or are not
// kept, and none bounds its memory; the same goes for the faster engines of regular
// expressions.
package record
