package config

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"unicode"

	"github.com/BurntSushi/toml"
)

// maxFile bounds what is read: a configuration is text that somebody wrote.
const maxFile = 1 << 20

// Load reads the file. The error is of type Problems and holds all that is wrong.
func Load(path string) (*Config, error) { return Read(path).result() }

// A File is a configuration file as it was read, with all that is wrong in it.
type File struct {
	Path     string  // absolute
	Config   *Config // nil when the file could not be read as TOML; a value that is refused has its default
	Problems Problems

	decoder *decoder // nil with Config
}

func (f *File) result() (*Config, error) {
	if len(f.Problems) > 0 {
		return nil, f.Problems
	}
	return f.Config, nil
}

// Read reads the file and goes on where Load gives up, for a look at what the file names.
func Read(path string) *File {
	full, err := filepath.Abs(path)
	if err != nil {
		return &File{Path: path, Problems: Problems{{File: path, Text: err.Error(), Fix: "give the path of the file from the root"}}}
	}
	text, err := readFile(full)
	if err != nil {
		return &File{Path: full, Problems: Problems{{File: full, Text: err.Error(), Fix: "check the path, and that this user may read the file"}}}
	}
	return decode(full, text)
}

// Problem makes a Problem of the line on which a key such as "lmtp.listen" or "domain[0].keys" stands, or the nearest
// table around it.
func (f *File) Problem(key, text, fix string) Problem {
	p := Problem{File: f.Path, Key: plainKey(key), Text: text, Fix: fix}
	if f.decoder != nil {
		p.Line = f.decoder.line(key)
	}
	return p
}

// Remarks are what Pending and Warnings say, each with its place and what to do.
func (f *File) Remarks() Problems {
	var list Problems
	if f.Config == nil {
		return nil
	}
	for _, r := range append(f.Config.pending(), f.Config.warnings()...) {
		list = append(list, f.Problem(r.key, r.text, r.fix))
	}
	list.sort()
	return list
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

func decode(path, text string) *File {
	var values map[string]any
	if _, err := toml.Decode(text, &values); err != nil {
		return &File{Path: path, Problems: Problems{syntaxProblem(path, err)}}
	}
	c := Default()
	c.File = path
	d := &decoder{file: path, text: text, written: map[string]bool{}}
	d.table("", values, reflect.ValueOf(c).Elem())
	c.written = d.written
	c.resolve(filepath.Dir(path))
	d.check(c)
	d.problems.sort()
	return &File{Path: path, Config: c, Problems: d.problems, decoder: d}
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
	p.Text = strings.TrimSuffix(strings.Map(printable, p.Text), ".")
	return p
}

// printable keeps what the file holds from writing lines of its own into a log.
func printable(r rune) rune {
	if unicode.IsControl(r) {
		return ' '
	}
	return r
}
