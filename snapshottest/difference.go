package snapshottest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Of a difference that is longer, the rest is counted.
const (
	mostChanges = 40
	mostLines   = 12 // of a value
)

// difference lists what changes from a snapshot to a template, in the order of the
// template. It is not empty unless they are equal: where the values are, or where
// one of them is no JSON, it is about their lines.
func difference(want, got []byte) string {
	var d changes
	before, err := decode(want)
	if err == nil {
		var after any
		if after, err = decode(got); err == nil {
			d.compare("", before, after)
		}
	}
	if len(d) == 0 {
		d.lists(linesKey, lines(string(want)), lines(string(got)))
	}
	return d.String()
}

// decode keeps the digits of numbers.
func decode(content []byte) (value any, err error) {
	decoder := json.NewDecoder(bytes.NewReader(content))
	decoder.UseNumber()
	err = decoder.Decode(&value)
	return value, err
}

func lines(text string) []any {
	var found []any
	for _, line := range strings.Split(text, "\n") {
		found = append(found, line)
	}
	return found
}

type changes []change

type change struct{ path, values string }

// String shows the first changes, and what the others are in.
func (d changes) String() string {
	var b strings.Builder
	for _, c := range d[:min(mostChanges, len(d))] {
		b.WriteString(c.path + "\n" + c.values)
	}
	if len(d) > mostChanges {
		var places []string
		for _, c := range d[mostChanges:] {
			parts := strings.SplitN(c.path, ".", 3)
			places = append(places, strings.Join(parts[:min(2, len(parts))], "."))
		}
		fmt.Fprintf(&b, "… and %d more, in %s\n", len(places), strings.Join(slices.Compact(places), ", "))
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// add adds a change, with its values by what they are.
func (d *changes) add(path string, values ...value) {
	var b strings.Builder
	for _, v := range values {
		var all []string
		for _, node := range v.nodes {
			all = append(all, strings.Split(encode(node, "  "), "\n")...)
		}
		if more := len(all) - mostLines; more > 0 {
			all = append(all[:mostLines], fmt.Sprintf("… and %d more lines", more))
		}
		fmt.Fprintf(&b, "    %s%s\n", v.what, strings.Join(all, "\n    "+strings.Repeat(" ", len(v.what))))
	}
	*d = append(*d, change{path, b.String()})
}

// value is one or several nodes of a template that follow each other.
type value struct {
	what  string
	nodes []any
}

func was(nodes ...any) value   { return value{"was: ", nodes} }
func is(nodes ...any) value    { return value{"is:  ", nodes} }
func gone(nodes ...any) value  { return value{"gone: ", nodes} }
func added(nodes ...any) value { return value{"new: ", nodes} }

// encode writes a node as a template has it. Equal nodes have equal texts.
func encode(node any, indent string) string {
	var b strings.Builder
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", indent)
	if err := encoder.Encode(node); err != nil { // cannot be: it was decoded
		return err.Error()
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func (d *changes) compare(path string, before, after any) {
	switch before := before.(type) {
	case map[string]any:
		if after, ok := after.(map[string]any); ok {
			d.objects(path, before, after)
			return
		}
	case []any:
		if after, ok := after.([]any); ok {
			d.lists(path, before, after)
			return
		}
	}
	if encode(before, "") != encode(after, "") {
		d.add(path, was(before), is(after))
	}
}

func (d *changes) objects(path string, before, after map[string]any) {
	keys := slices.AppendSeq(slices.Collect(maps.Keys(before)), maps.Keys(after))
	slices.Sort(keys)
	for _, key := range slices.Compact(keys) {
		path := strings.TrimPrefix(path+"."+key, ".")
		from, had := before[key]
		to, has := after[key]
		switch {
		case !has:
			d.add(path, gone(from))
		case !had:
			d.add(path, added(to))
		default:
			d.compare(path, from, to)
		}
	}
}

// lists finds the elements that have stayed, and looks at what is between them.
func (d *changes) lists(path string, before, after []any) {
	from, to := encoded(before), encoded(after)
	i, j := 0, 0
	for _, same := range align(len(from), len(to), func(i, j int) bool { return from[i] == to[j] }) {
		d.between(path, before, after, span{i, same.i}, span{j, same.j})
		i, j = same.i+1, same.j+1
	}
	d.between(path, before, after, span{i, len(before)}, span{j, len(after)})
}

func encoded(nodes []any) []string {
	var texts []string
	for _, node := range nodes {
		texts = append(texts, encode(node, ""))
	}
	return texts
}

// span is a part of a list.
type span struct{ start, end int }

// between compares parts of lists that have no element in common. Elements of the
// same shape are taken for changed ones.
func (d *changes) between(path string, before, after []any, from, to span) {
	removed, inserted := before[from.start:from.end], after[to.start:to.end]
	if len(removed) == len(inserted) {
		for k := range removed {
			d.compare(fmt.Sprintf("%s[%d]", path, to.start+k), removed[k], inserted[k])
		}
		return
	}
	i, j := 0, 0
	alike := align(len(removed), len(inserted), func(i, j int) bool {
		shape := shapeOf(removed[i])
		return shape != "" && shape == shapeOf(inserted[j])
	})
	for _, pair := range append(alike, match{len(removed), len(inserted)}) {
		d.runs(path, before, after, span{from.start + i, from.start + pair.i}, span{to.start + j, to.start + pair.j})
		if pair.i < len(removed) {
			d.compare(fmt.Sprintf("%s[%d]", path, to.start+pair.j), removed[pair.i], inserted[pair.j])
		}
		i, j = pair.i+1, pair.j+1
	}
}

// runs adds the elements of a list that others have replaced, or that were removed
// or inserted, as one change.
func (d *changes) runs(path string, before, after []any, from, to span) {
	removed, inserted := before[from.start:from.end], after[to.start:to.end]
	switch {
	case len(removed) > 0 && len(inserted) > 0:
		d.add(path+to.String(), was(removed...), is(inserted...))
	case len(removed) > 0:
		d.add(path+from.String(), append(context(before, from), gone(removed...))...)
	case len(inserted) > 0:
		d.add(path+to.String(), append(context(after, to), added(inserted...))...)
	}
}

func (s span) String() string {
	if s.end-s.start == 1 {
		return fmt.Sprintf("[%d]", s.start)
	}
	return fmt.Sprintf("[%d..%d]", s.start, s.end-1)
}

// context is the text before a part of a list, if it is one.
func context(list []any, part span) []value {
	if part.start > 0 {
		if before, ok := list[part.start-1].(string); ok {
			return []value{{"after: ", []any{before}}}
		}
	}
	return nil
}

// shapeOf is what an object or a list has in common with a changed one. Other
// values have none.
func shapeOf(node any) string {
	switch node := node.(type) {
	case map[string]any:
		return "{" + strings.Join(slices.Sorted(maps.Keys(node)), ",") + "}"
	case []any:
		return "[]"
	}
	return ""
}

// match is a pair of elements of two lists.
type match struct{ i, j int }

// align finds a longest sequence of equal elements that two lists of these lengths
// have in common. Lists that are too long for that have their beginnings and ends
// compared only.
func align(n, m int, equal func(i, j int) bool) []match {
	var matches, end []match
	start := 0
	for start < n && start < m && equal(start, start) {
		matches = append(matches, match{start, start})
		start++
	}
	for n > start && m > start && equal(n-1, m-1) {
		n, m = n-1, m-1
		end = append(end, match{n, m})
	}
	slices.Reverse(end)
	rows, columns := n-start, m-start
	const most = 4 << 20 // cells of a table
	if rows > 0 && columns > 0 && rows <= most/columns {
		matches = append(matches, longest(start, rows, columns, equal)...)
	}
	return append(matches, end...)
}

// longest is the textbook's longest common subsequence, of what follows the start.
func longest(start, rows, columns int, equal func(i, j int) bool) []match {
	lengths := make([][]int32, rows+1) // of the rest from there on
	lengths[rows] = make([]int32, columns+1)
	for i := rows - 1; i >= 0; i-- {
		lengths[i] = make([]int32, columns+1)
		for j := columns - 1; j >= 0; j-- {
			if equal(start+i, start+j) {
				lengths[i][j] = lengths[i+1][j+1] + 1
			} else {
				lengths[i][j] = max(lengths[i+1][j], lengths[i][j+1])
			}
		}
	}
	var matches []match
	for i, j := 0, 0; i < rows && j < columns; {
		switch {
		case equal(start+i, start+j):
			matches = append(matches, match{start + i, start + j})
			i, j = i+1, j+1
		case lengths[i+1][j] >= lengths[i][j+1]:
			i++
		default:
			j++
		}
	}
	return matches
}
