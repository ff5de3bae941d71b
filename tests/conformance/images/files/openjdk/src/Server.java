// Keeps notes in a file: POST adds one, GET returns all.
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.concurrent.Executors;

public class Server {
    private static final Path NOTES = Path.of("/data/notes");

    public static void main(String[] arguments) throws IOException {
        HttpServer server = HttpServer.create(new InetSocketAddress(8080), 0);
        server.setExecutor(Executors.newFixedThreadPool(8));
        server.createContext("/", exchange -> {
            byte[] answer;
            synchronized (NOTES) {
                if (exchange.getRequestMethod().equals("POST")) {
                    String text = new String(exchange.getRequestBody().readAllBytes());
                    Files.writeString(NOTES, text + "\n", StandardOpenOption.CREATE,
                            StandardOpenOption.APPEND);
                    answer = "kept\n".getBytes();
                } else {
                    answer = Files.exists(NOTES) ? Files.readAllBytes(NOTES) : new byte[0];
                }
            }
            exchange.sendResponseHeaders(200, answer.length == 0 ? -1 : answer.length);
            exchange.getResponseBody().write(answer);
            exchange.close();
        });
        server.start();
        System.out.println("serving");
    }
}
