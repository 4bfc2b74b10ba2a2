package render

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// terraformFile is Terraform as terraform fmt lays it out: two blanks a level, and the equals
// signs of attributes that follow one another in one column. hclwrite does the same, but every
// start of harvest would pay for what it links.
type terraformFile struct {
	strings.Builder
	level      int
	attributes [][2]string // not written yet: the name and the expression
}

// set adds an attribute.
func (f *terraformFile) set(name string, value any) {
	object, _ := value.(map[string]any)
	if texts, ok := value.(map[string]string); ok {
		object = map[string]any{}
		for key, text := range texts {
			object[key] = text
		}
	}
	if len(object) == 0 {
		f.express(name, terraformValue(value))
		return
	}
	f.open(name + " = {")
	for _, key := range slices.Sorted(maps.Keys(object)) {
		f.set(terraformText(key), object[key])
	}
	f.close("}")
}

// express adds an attribute whose value is an expression.
func (f *terraformFile) express(name, expression string) {
	f.attributes = append(f.attributes, [2]string{name, expression})
}

// open adds a line that ends with a bracket.
func (f *terraformFile) open(line string) {
	f.line(line)
	f.level++
}

// close adds the bracket's end.
func (f *terraformFile) close(bracket string) {
	f.align()
	f.level--
	f.line(bracket)
}

// line adds a line of another kind, or an empty one.
func (f *terraformFile) line(text string) {
	f.align()
	if text != "" {
		text = strings.Repeat("  ", f.level) + text
	}
	f.WriteString(text + "\n")
}

// align writes the attributes that wait.
func (f *terraformFile) align() {
	attributes, width := f.attributes, 0
	f.attributes = nil
	for _, a := range attributes {
		width = max(width, utf8.RuneCountInString(a[0]))
	}
	for _, a := range attributes {
		f.line(fmt.Sprintf("%-*s = %s", width, a[0], a[1]))
	}
}

// terraformText returns a text as Terraform reads it back, whatever is in it.
func terraformText(s string) string {
	var b strings.Builder
	for i, r := range s {
		switch {
		case r == '\n':
			b.WriteString(`\n`)
		case r == '"' || r == '\\':
			b.WriteString(`\` + string(r))
		case (r == '$' || r == '%') && strings.HasPrefix(s[i+1:], "{"):
			b.WriteString(string(r) + string(r)) // else it begins a template
		case unicode.IsPrint(r):
			b.WriteRune(r)
		default:
			fmt.Fprintf(&b, `\U%08x`, r)
		}
	}
	return `"` + b.String() + `"`
}

func terraformValue(value any) string {
	switch value := value.(type) {
	case string:
		return terraformText(value)
	case []string:
		var all []string
		for _, s := range value {
			all = append(all, terraformText(s))
		}
		return "[" + strings.Join(all, ", ") + "]"
	case map[string]any, map[string]string: // empty ones
		return "{}"
	}
	return fmt.Sprint(value)
}
