package rawjson

// scanner walks through a text and checks it against the grammar of RFC 8259.
// Its methods return false where the text departs from it.
type scanner struct {
	text []byte
	at   int
}

// next returns the byte the scanner is at, 0 at the end. No JSON text has a 0
// where a value or punctuation is expected, so the end needs no other test.
func (s *scanner) next() byte {
	if s.at < len(s.text) {
		return s.text[s.at]
	}
	return 0
}

// space skips white space.
func (s *scanner) space() {
	for {
		switch s.next() {
		case ' ', '\t', '\n', '\r':
			s.at++
		default:
			return
		}
	}
}

// value scans a value. If it is an object, member is called with the name, in its
// quotes, and the value of each of its members.
func (s *scanner) value(depth int, member func(name, value []byte)) bool {
	switch s.next() {
	case '{':
		return depth > 0 && s.object(depth-1, member)
	case '[':
		return depth > 0 && s.list(depth-1)
	case '"':
		return s.string()
	case 't':
		return s.literal("true")
	case 'f':
		return s.literal("false")
	case 'n':
		return s.literal("null")
	default:
		return s.number()
	}
}

func (s *scanner) object(depth int, member func(name, value []byte)) bool {
	s.at++
	s.space()
	if s.next() == '}' {
		s.at++
		return true
	}
	for {
		name := s.at
		if s.next() != '"' || !s.string() {
			return false
		}
		nameEnd := s.at
		s.space()
		if s.next() != ':' {
			return false
		}
		s.at++
		s.space()
		value := s.at
		if !s.value(depth, nil) {
			return false
		}
		if member != nil {
			member(s.text[name:nameEnd], s.text[value:s.at:s.at])
		}
		s.space()
		switch s.next() {
		case ',':
			s.at++
			s.space()
		case '}':
			s.at++
			return true
		default:
			return false
		}
	}
}

func (s *scanner) list(depth int) bool {
	s.at++
	s.space()
	if s.next() == ']' {
		s.at++
		return true
	}
	for {
		if !s.value(depth, nil) {
			return false
		}
		s.space()
		switch s.next() {
		case ',':
			s.at++
			s.space()
		case ']':
			s.at++
			return true
		default:
			return false
		}
	}
}

func (s *scanner) string() bool {
	for i := s.at + 1; i < len(s.text); i++ {
		switch c := s.text[i]; {
		case c == '"':
			s.at = i + 1
			return true
		case c < ' ':
			return false
		case c == '\\':
			s.at = i + 1
			if !s.escape() {
				return false
			}
			i = s.at
		}
	}
	return false
}

// escape scans what follows a backslash, up to its last byte.
func (s *scanner) escape() bool {
	switch s.next() {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return true
	case 'u':
		for range 4 {
			s.at++
			if _, ok := hexDigit(s.next()); !ok {
				return false
			}
		}
		return true
	}
	return false
}

func (s *scanner) literal(word string) bool {
	if len(s.text)-s.at < len(word) || string(s.text[s.at:s.at+len(word)]) != word {
		return false
	}
	s.at += len(word)
	return true
}

func (s *scanner) number() bool {
	if s.next() == '-' {
		s.at++
	}
	if s.next() == '0' {
		s.at++
	} else if !s.digits() {
		return false
	}
	if s.next() == '.' {
		s.at++
		if !s.digits() {
			return false
		}
	}
	if c := s.next(); c == 'e' || c == 'E' {
		s.at++
		if c := s.next(); c == '+' || c == '-' {
			s.at++
		}
		return s.digits()
	}
	return true
}

// digits scans at least one digit.
func (s *scanner) digits() bool {
	begin := s.at
	for '0' <= s.next() && s.next() <= '9' {
		s.at++
	}
	return s.at > begin
}
