// Package rawjson takes single members out of a JSON object and leaves the rest
// alone: the bytes are checked, not decoded, in one pass.
//
// It is for text whose bytes matter, because they are signed or passed on, and it
// is stricter than encoding/json about the names it is asked for. JSON readers
// disagree about a name that occurs twice (the first counts, or the last) and
// about its case (encoding/json ignores it, others do not). What a program
// decides by must mean the same to whoever reads the text later, so both are
// errors here.
package rawjson

import (
	"bytes"
	"errors"
	"fmt"
	"unicode/utf16"
	"unicode/utf8"
)

// MaxDepth is how deep objects and lists may be nested, the outermost included.
const MaxDepth = 1000

var (
	// ErrSyntax says that a text is not JSON in the sense of RFC 8259, or nested
	// too deep.
	ErrSyntax = errors.New("not valid JSON")
	// ErrNotObject says that a text is JSON, but not an object.
	ErrNotObject = errors.New("not a JSON object")
	// ErrAmbiguous says that a name occurs twice, or in another case.
	ErrAmbiguous = errors.New("ambiguous member")
)

// Members returns the values of the named members of an object, as they stand in
// the text; nil for those it lacks. White space may surround the object. The
// names are compared after decoding, so that escapes in the text do not matter.
func Members(text []byte, names ...string) ([][]byte, error) {
	values := make([][]byte, len(names))
	var failed error
	s := scanner{text: text}
	s.space()
	object := s.next() == '{'
	ok := s.value(MaxDepth, func(name, value []byte) {
		if err := assign(values, names, name, value); err != nil {
			failed = err
		}
	})
	if s.space(); !ok || s.at != len(text) {
		return nil, ErrSyntax
	}
	if !object {
		return nil, ErrNotObject
	}
	if failed != nil {
		return nil, failed
	}
	return values, nil
}

// assign stores the value of a member if it is one of those asked for.
func assign(values [][]byte, names []string, quoted, value []byte) error {
	name := quoted[1 : len(quoted)-1]
	if bytes.IndexByte(name, '\\') >= 0 {
		name = unescape(name)
	}
	for i, wanted := range names {
		switch {
		case !bytes.EqualFold(name, []byte(wanted)):
		case string(name) != wanted || values[i] != nil:
			return fmt.Errorf("%w %q", ErrAmbiguous, wanted)
		default:
			values[i] = value
		}
	}
	return nil
}

// IsObject reports whether a value of a member is an object.
func IsObject(value []byte) bool { return len(value) > 0 && value[0] == '{' }

// IsEmptyObject reports whether a value of a member is an object without members.
func IsEmptyObject(value []byte) bool {
	if !IsObject(value) {
		return false
	}
	s := scanner{text: value, at: 1}
	s.space()
	return s.next() == '}'
}

// IsScalar reports whether a value of a member is neither absent, nor an object,
// nor a list.
func IsScalar(value []byte) bool {
	return len(value) > 0 && value[0] != '{' && value[0] != '['
}

// String returns the string that a value of a member spells, and whether it is
// one.
func String(value []byte) (string, bool) {
	decoded, ok := Bytes(value)
	return string(decoded), ok
}

// Bytes is String for long strings.
func Bytes(value []byte) ([]byte, bool) {
	if len(value) < 2 || value[0] != '"' {
		return nil, false
	}
	return unescape(value[1 : len(value)-1]), true
}

// unescape decodes what stands between the quotes of a valid JSON string. A
// surrogate without its other half becomes the replacement character, as in
// encoding/json.
func unescape(text []byte) []byte {
	decoded := make([]byte, 0, len(text))
	for {
		i := bytes.IndexByte(text, '\\')
		if i < 0 {
			return append(decoded, text...)
		}
		decoded = append(decoded, text[:i]...)
		escaped := text[i+1]
		text = text[i+2:]
		switch escaped {
		case 'b':
			decoded = append(decoded, '\b')
		case 'f':
			decoded = append(decoded, '\f')
		case 'n':
			decoded = append(decoded, '\n')
		case 'r':
			decoded = append(decoded, '\r')
		case 't':
			decoded = append(decoded, '\t')
		case 'u':
			r := codeUnit(text)
			text = text[4:]
			if half, ok := bytes.CutPrefix(text, []byte(`\u`)); ok && utf16.IsSurrogate(r) {
				if pair := utf16.DecodeRune(r, codeUnit(half)); pair != utf8.RuneError {
					r, text = pair, half[4:]
				}
			}
			decoded = utf8.AppendRune(decoded, r)
		default: // quote, slash, backslash
			decoded = append(decoded, escaped)
		}
	}
}

// codeUnit returns the number that the first four bytes, hexadecimal digits, spell.
func codeUnit(text []byte) rune {
	var r rune
	for _, c := range text[:4] {
		digit, _ := hexDigit(c)
		r = r<<4 | rune(digit)
	}
	return r
}

func hexDigit(c byte) (byte, bool) {
	switch {
	case '0' <= c && c <= '9':
		return c - '0', true
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10, true
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}
