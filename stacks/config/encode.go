package config

import (
	"encoding/json"
	"reflect"
	"time"

	"github.com/ecs-github-runners/ecsrunners/internal/enum"
	"github.com/ecs-github-runners/ecsrunners/internal/problem"
)

// MarshalJSON implements json.Marshaler: Parse reads what it writes. What is absent
// is left out.
func (c Config) MarshalJSON() ([]byte, error) {
	return json.Marshal(encode(reflect.ValueOf(c)))
}

// encode is the inverse of decode.
func encode(v reflect.Value) any {
	switch {
	case v.Type() == reflect.TypeFor[time.Duration]():
		return problem.Duration(time.Duration(v.Int()))
	case enum.Is(v.Type()):
		return enum.AWS(v.String())
	}
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return nil
		}
		return encode(v.Elem())
	case reflect.Struct:
		object := map[string]any{}
		for key, f := range fieldsOf(v.Type()) {
			if field := v.FieldByIndex(f.Index); !field.IsZero() {
				object[key] = encode(field)
			}
		}
		return object
	case reflect.Map:
		object := map[string]any{}
		for _, key := range v.MapKeys() {
			object[key.String()] = encode(v.MapIndex(key))
		}
		return object
	case reflect.Slice:
		list := make([]any, v.Len())
		for i := range list {
			list[i] = encode(v.Index(i))
		}
		return list
	default:
		return v.Interface()
	}
}
