// Keeps notes in a file: POST adds one, GET returns all.
package main

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"syscall"
)

const path = "/data/notes"

func main() {
	var mutex sync.Mutex

	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	go func() {
		<-stop
		os.Exit(0)
	}()
	http.HandleFunc("/", func(answer http.ResponseWriter, request *http.Request) {
		mutex.Lock()
		defer mutex.Unlock()
		if request.Method != "POST" {
			notes, _ := os.ReadFile(path)
			answer.Write(notes)
			return
		}
		text, _ := io.ReadAll(request.Body)
		file, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
		if err != nil {
			http.Error(answer, err.Error(), 500)
			return
		}
		defer file.Close()
		fmt.Fprintf(file, "%s\n", text)
		fmt.Fprintln(answer, "kept")
	})
	log.Print("serving")
	log.Fatal(http.ListenAndServe(":8080", nil))
}
