// Java: threads, the garbage collector, sockets, faults that the machine turns into exceptions.
import java.io.ByteArrayOutputStream;
import java.io.InputStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.concurrent.Callable;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.LongAdder;

public class Program {
  static final ExecutorService POOL = Executors.newCachedThreadPool();

  static void check(boolean good, String what) {
    if (!good) throw new AssertionError(what);
  }

  static void all(int count, Callable<Void> task) throws Exception {
    List<Future<Void>> futures = new ArrayList<>();
    for (int i = 0; i < count; i++) futures.add(POOL.submit(task));
    for (Future<Void> future : futures) future.get();
  }

  static void threads() throws Exception {
    LongAdder adder = new LongAdder();
    ConcurrentHashMap<Integer, Integer> map = new ConcurrentHashMap<>();
    long[] plain = new long[1];
    Object lock = new Object();
    all(8, () -> {
      for (int i = 0; i < 20000; i++) {
        adder.increment();
        map.merge(i % 100, 1, Integer::sum);
        synchronized (lock) {
          plain[0]++;
        }
      }
      return null;
    });
    check(adder.sum() == 160000, "adder");
    check(plain[0] == 160000, "lock");
    check(map.values().stream().mapToInt(x -> x).sum() == 160000, "map");
  }

  static void garbage() throws Exception {
    all(4, () -> {
      Random random = new Random(1);
      List<byte[]> kept = new ArrayList<>();
      long sum = 0;
      for (int i = 0; i < 5000; i++) {
        byte[] bytes = new byte[random.nextInt(20000)];
        Arrays.fill(bytes, (byte) i);
        kept.add(bytes);
        if (kept.size() > 100) {
          byte[] old = kept.remove(random.nextInt(100));
          for (int k = 1; k < old.length; k++) check(old[k] == old[0], "garbage");
        }
      }
      return null;
    });
    System.gc();
  }

  static int length(String text) {
    return text.length();
  }

  static int deep(int level) {
    return deep(level + 1) + 1;
  }

  static void faults() {
    int caught = 0;
    for (int i = 0; i < 20000; i++) {
      try {
        length(i % 2 == 0 ? null : "x");
      } catch (NullPointerException e) {
        caught++;
      }
      try {
        if (1 / (i % 2) != 1) caught += 100000;
      } catch (ArithmeticException e) {
        caught++;
      }
    }
    check(caught == 20000, "faults: " + caught);
    for (int i = 0; i < 5; i++) {
      try {
        deep(0);
        check(false, "no overflow");
      } catch (StackOverflowError e) {
        caught++;
      }
    }
  }

  static void sockets() throws Exception {
    try (ServerSocket server = new ServerSocket(0, 50, InetAddress.getLoopbackAddress())) {
      Thread acceptor = new Thread(() -> {
        try {
          while (true) {
            Socket socket = server.accept();
            POOL.submit(() -> {
              try (socket) {
                socket.getInputStream().transferTo(socket.getOutputStream());
              }
              return null;
            });
          }
        } catch (java.io.IOException e) {
          // closed
        }
      });
      acceptor.start();
      all(10, () -> {
        try (Socket socket = new Socket(server.getInetAddress(), server.getLocalPort())) {
          byte[] text = new byte[100000];
          new Random().nextBytes(text);
          Thread writer = new Thread(() -> {
            try {
              socket.getOutputStream().write(text);
              socket.shutdownOutput();
            } catch (java.io.IOException e) {
              throw new RuntimeException(e);
            }
          });
          writer.start();
          ByteArrayOutputStream back = new ByteArrayOutputStream();
          InputStream in = socket.getInputStream();
          in.transferTo(back);
          writer.join();
          MessageDigest sha = MessageDigest.getInstance("SHA-256");
          check(Arrays.equals(sha.digest(back.toByteArray()), sha.digest(text)), "echo");
        }
        return null;
      });
      server.close();
      acceptor.join();
    }
  }

  static void programs() throws Exception {
    Process process = new ProcessBuilder("/bin/sh", "-c", "echo $((6 * 7)); exit 3").start();
    String out = new String(process.getInputStream().readAllBytes());
    check(out.equals("42\n") && process.waitFor() == 3, "program: " + out);
  }

  static void timers() throws Exception {
    for (int i = 0; i < 20; i++) {
      long begin = System.nanoTime();
      Thread.sleep(3);
      check(System.nanoTime() - begin >= 2900000, "a sleep ended early");
    }
    Thread sleeper = new Thread(() -> {
      try {
        Thread.sleep(1000000);
        check(false, "not interrupted");
      } catch (InterruptedException e) {
        // as it should
      }
    });
    sleeper.start();
    sleeper.interrupt();
    sleeper.join();
  }

  public static void main(String[] arguments) throws Exception {
    long end = System.nanoTime() + (long) (Double.parseDouble(arguments[0]) * 1e9);
    int rounds = 0;
    do {
      threads();
      garbage();
      faults();
      sockets();
      programs();
      timers();
      rounds++;
    } while (System.nanoTime() < end);
    POOL.shutdown();
    System.out.println(rounds + " rounds");
  }
}
