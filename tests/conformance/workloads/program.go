// Go: goroutines, channels, the garbage collector, timers, sockets, other programs, signals.
package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

func check(good bool, what ...any) {
	if !good {
		panic(fmt.Sprint(what...))
	}
}

func channels() {
	work, results := make(chan int, 8), make(chan int)
	var group sync.WaitGroup
	for i := 0; i < 100; i++ {
		group.Add(1)
		go func() {
			defer group.Done()
			for n := range work {
				results <- n * n
			}
		}()
	}
	go func() {
		for i := 0; i < 20000; i++ {
			work <- i
		}
		close(work)
		group.Wait()
		close(results)
	}()
	sum, expected := 0, 0
	for r := range results {
		sum += r
	}
	for i := 0; i < 20000; i++ {
		expected += i * i
	}
	check(sum == expected, "channels: ", sum)
}

type node struct {
	left, right *node
	value       [32]byte
}

func grow(depth int) *node {
	if depth == 0 {
		return &node{value: sha256.Sum256([]byte("leaf"))}
	}
	return &node{left: grow(depth - 1), right: grow(depth - 1)}
}

func (n *node) count() int {
	if n.left == nil {
		check(n.value == sha256.Sum256([]byte("leaf")), "a leaf has changed")
		return 1
	}
	return n.left.count() + n.right.count()
}

func garbage() {
	var group sync.WaitGroup
	for i := 0; i < 4; i++ {
		group.Add(1)
		go func() {
			defer group.Done()
			for k := 0; k < 5; k++ {
				check(grow(11).count() == 2048, "garbage")
			}
		}()
	}
	runtime.GC()
	group.Wait()
}

// preemption: loops without calls are interrupted by signals.
func preemption() {
	var stop atomic.Bool
	var group sync.WaitGroup
	for i := 0; i < 4; i++ {
		group.Add(1)
		go func() {
			defer group.Done()
			for !stop.Load() {
			}
		}()
	}
	begin := time.Now()
	for i := 0; i < 5; i++ {
		time.Sleep(5 * time.Millisecond)
		runtime.GC()
	}
	stop.Store(true)
	group.Wait()
	check(time.Since(begin) < 20*time.Second, "preemption took ", time.Since(begin))
}

func timers() {
	var group sync.WaitGroup
	for i := 0; i < 200; i++ {
		group.Add(1)
		go func(i int) {
			defer group.Done()
			wanted := time.Duration(i%20) * time.Millisecond
			begin := time.Now()
			<-time.After(wanted)
			check(time.Since(begin) >= wanted, "a timer came early")
		}(i)
	}
	group.Wait()
	ticker := time.NewTicker(2 * time.Millisecond)
	for i := 0; i < 20; i++ {
		<-ticker.C
	}
	ticker.Stop()
}

func programs() {
	var group sync.WaitGroup
	for i := 0; i < 8; i++ {
		group.Add(1)
		go func(i int) {
			defer group.Done()
			command := exec.Command("/bin/sh", "-c", "cat; exit "+strconv.Itoa(i))
			text := bytes.Repeat([]byte("text "), 1000*(i+1))
			command.Stdin = bytes.NewReader(text)
			out, err := command.Output()
			check(bytes.Equal(out, text), "the output of a program")
			check(command.ProcessState.ExitCode() == i, "exit status ", err)
		}(i)
	}
	group.Wait()
}

func sockets() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(err == nil, err)
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				io.Copy(connection, connection)
				connection.Close()
			}()
		}
	}()
	var group sync.WaitGroup
	for i := 0; i < 20; i++ {
		group.Add(1)
		go func(i int) {
			defer group.Done()
			connection, err := net.Dial("tcp", listener.Addr().String())
			check(err == nil, err)
			text := bytes.Repeat([]byte{byte(i)}, 50000)
			go func() {
				connection.Write(text)
				connection.(*net.TCPConn).CloseWrite()
			}()
			back, err := io.ReadAll(connection)
			check(err == nil && bytes.Equal(back, text), "echo: ", err)
			connection.Close()
		}(i)
	}
	group.Wait()
	listener.Close()
}

func signals() {
	caught := make(chan os.Signal, 200)
	signal.Notify(caught, syscall.SIGUSR1)
	for i := 0; i < 100; i++ {
		syscall.Kill(os.Getpid(), syscall.SIGUSR1)
		<-caught
	}
	signal.Stop(caught)
}

func faults() {
	for i := 0; i < 100; i++ {
		func() {
			defer func() { check(recover() != nil, "no panic") }()
			var nothing *node
			nothing.value[0] = 1
		}()
	}
}

func main() {
	seconds, _ := strconv.ParseFloat(os.Args[1], 64)
	end := time.Now().Add(time.Duration(seconds * float64(time.Second)))
	rounds := 0
	for ok := true; ok; ok = time.Now().Before(end) {
		for _, part := range []func(){
			channels, garbage, preemption, timers, programs, sockets, signals, faults,
		} {
			part()
		}
		rounds++
	}
	fmt.Println(rounds, "rounds")
}
