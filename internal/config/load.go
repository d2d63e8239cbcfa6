package config

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"

	"github.com/BurntSushi/toml"
)

// maxFile bounds what is read: a configuration is text that somebody wrote.
const maxFile = 1 << 20

// Load reads the file. The error is of type Problems and holds all that is wrong.
func Load(path string) (*Config, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, Problems{{File: path, Text: err.Error(), Fix: "give the path of the file from the root"}}
	}
	text, err := readFile(path)
	if err != nil {
		return nil, Problems{{File: path, Text: err.Error(), Fix: "check the path, and that this user may read the file"}}
	}
	return parse(path, text)
}

func readFile(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		var fault *os.PathError
		if errors.As(err, &fault) {
			err = fault.Err // the path is told already
		}
		return "", err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return "", err
	}
	if len(text) > maxFile {
		return "", fmt.Errorf("longer than %v", Size(maxFile))
	}
	return string(text), nil
}

func parse(path, text string) (*Config, error) {
	var values map[string]any
	if _, err := toml.Decode(text, &values); err != nil {
		return nil, Problems{syntaxProblem(path, err)}
	}
	c := Default()
	c.File = path
	d := &decoder{file: path, text: text}
	d.table("", values, reflect.ValueOf(c).Elem())
	c.resolve(filepath.Dir(path))
	d.check(c)
	if len(d.problems) > 0 {
		d.problems.sort()
		return nil, d.problems
	}
	return c, nil
}

func syntaxProblem(path string, err error) Problem {
	p := Problem{File: path, Text: err.Error(), Fix: "mend the TOML"}
	var syntax toml.ParseError
	if errors.As(err, &syntax) {
		p.Line, p.Key, p.Text = syntax.Position.Line, syntax.LastKey, syntax.Message
		if syntax.Message == "" {
			p.Text = syntax.Error()
		}
	}
	p.Text = strings.TrimSuffix(strings.ReplaceAll(p.Text, "\n", " "), ".")
	return p
}
