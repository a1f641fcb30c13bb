using System.Text.RegularExpressions;
using Microsoft.Playwright;

namespace CoFrGeNet.Server.Tests;

/// <summary>The page in a real Chromium.</summary>
public sealed class PageTests : IClassFixture<PageBrowser>
{
    private readonly PageBrowser _chromium;

    public PageTests(PageBrowser chromium) => _chromium = chromium;

    [Fact]
    public async Task A_first_time_user_gets_a_completion_with_one_click()
    {
        await using var server = await TestServer.StartAsync(FakeModel.Babbling());
        await using var view = await OpenAsync(server);
        await view.Page.GetByRole(AriaRole.Button, new() { Name = "Continue the text" }).ClickAsync();
        await Assertions.Expect(view.Page.Locator("article .stats")).ToContainTextAsync("reached its length");
        Assert.Equal(100, await view.Page.Locator("article .token").CountAsync());
        Assert.Matches(@"^100 tokens · [\d,.]+ tokens/s · first after \d+ ms · reached its length · seed \d+", await view.Page.Locator("article .stats").InnerTextAsync());
        await Assertions.Expect(view.Page.Locator("#facts")).ToHaveTextAsync("42 parameters, context of 1,000 tokens");
    }

    [Fact]
    public async Task Keys_alone_are_enough()
    {
        var model = FakeModel.Babbling();
        model.PassTime = TimeSpan.FromMilliseconds(5);
        await using var server = await TestServer.StartAsync(model);
        await using var view = await OpenAsync(server);
        await view.Page.Locator("#prompt").FocusAsync();
        await view.Page.Keyboard.PressAsync("Control+Enter");
        await Assertions.Expect(view.Page.Locator("article .token").Nth(10)).ToBeVisibleAsync();
        await view.Page.Keyboard.PressAsync("Escape");
        await Assertions.Expect(view.Page.Locator("article .stats")).ToContainTextAsync("stopped");
        await TestServer.UntilAsync(() => model.OpenSequences == 0, "the slot was not given back");
        await view.Page.Locator("article .token").First.FocusAsync();
        await Assertions.Expect(view.Page.Locator("#tip")).ToBeVisibleAsync();
        await view.Page.Keyboard.PressAsync("ArrowRight");
        await view.Page.Keyboard.PressAsync("ArrowRight");
        await Assertions.Expect(view.Page.Locator("article .token").Nth(2)).ToBeFocusedAsync();
        await view.Page.Keyboard.PressAsync("Home");
        await Assertions.Expect(view.Page.Locator("article .token").First).ToBeFocusedAsync();
    }

    [Fact]
    public async Task Hovering_shows_the_likeliest_tokens_and_whole_characters()
    {
        await using var server = await TestServer.StartAsync(FakeModel.Saying(" né😀", 4));
        await using var view = await OpenAsync(server);
        await view.Page.Locator("#prompt").FillAsync("four");
        await RunAsync(view.Page);
        Assert.Equal([" ", "n", "é", "😀", "■ end"], await view.Page.Locator("article .token").AllTextContentsAsync());
        await view.Page.Locator("article .token").Nth(1).HoverAsync();
        await Assertions.Expect(view.Page.Locator("#tip tr.drawn")).ToHaveTextAsync(new Regex("^n100 %$"));
        Assert.Equal(5, await view.Page.Locator("#tip tr").CountAsync());
        // The two bytes of é, each with five alternatives.
        await view.Page.Locator("article .token").Nth(2).HoverAsync();
        await Assertions.Expect(view.Page.Locator("#tip tr")).ToHaveCountAsync(10);
    }

    [Fact]
    public async Task Two_models_stand_side_by_side_with_one_prompt_and_seed()
    {
        await using var server = await TestServer.StartAsync([TestServer.Served("left", FakeModel.Babbling()), TestServer.Served("right", FakeModel.Babbling())]);
        await using var view = await OpenAsync(server);
        await view.Page.Locator("#compare").SelectOptionAsync("right");
        await view.Page.Locator("summary").ClickAsync();
        await view.Page.Locator("#seed").FillAsync("5");
        await RunAsync(view.Page, 2);
        var texts = await view.Page.Locator("article .text").AllTextContentsAsync();
        Assert.Equal(texts[0], texts[1]);
        Assert.Equal(["left", "right"], await view.Page.Locator("article h2").AllTextContentsAsync());
        var boxes = await Task.WhenAll((await view.Page.Locator("article").AllAsync()).Select(article => article.BoundingBoxAsync()));
        Assert.Equal(boxes[0]!.Y, boxes[1]!.Y);
        Assert.True(boxes[1]!.X > boxes[0]!.X + boxes[0]!.Width, "the panels do not stand side by side");
    }

    [Fact]
    public async Task A_wrong_option_is_shown_where_it_can_be_mended()
    {
        await using var server = await TestServer.StartAsync(FakeModel.Babbling());
        await using var view = await OpenAsync(server);
        await view.Page.Locator("summary").ClickAsync();
        await view.Page.Locator("#tokens").FillAsync("5000");
        await view.Page.Locator("#temperature").FillAsync("0.85");
        await view.Page.Locator("summary").ClickAsync();
        await view.Page.Locator("#run").ClickAsync();
        await Assertions.Expect(view.Page.Locator("#tokens")).ToBeFocusedAsync();
        await Assertions.Expect(view.Page.Locator("article")).ToHaveCountAsync(0);
        await view.Page.Locator("#tokens").FillAsync("5");
        await RunAsync(view.Page);
        await Assertions.Expect(view.Page.Locator("#message")).ToBeHiddenAsync();
    }

    [Fact]
    public async Task Ladders_are_shown_layer_by_layer_and_one_as_a_plot()
    {
        await using var server = await TestServer.StartAsync([TestServer.Served("fake", new FakeLadderModel())]);
        await using var view = await OpenAsync(server);
        await RunAsync(view.Page);
        await Assertions.Expect(view.Page.Locator("#layers button")).ToHaveTextAsync(["Layer 1, feed-forward0.0 %", "Layer 2, feed-forward25.0 %", "Layer 3, feed-forward50.0 %"]);
        await view.Page.Locator("#layers button").Nth(2).ClickAsync();
        await Assertions.Expect(view.Page.Locator("#ladder-facts")).ToHaveTextAsync("of 7 in layer 3, feed-forward, depth 2");
        var before = await view.Page.Locator("#plot path.curve").GetAttributeAsync("d");
        await view.Page.Locator("#ladder").FillAsync("3");
        await view.Page.Locator("#ladder").PressAsync("Enter");
        await Assertions.Expect(view.Page.Locator("#plot path.curve")).Not.ToHaveAttributeAsync("d", before!);
        await Assertions.Expect(view.Page.Locator("#plot .range")).ToHaveCountAsync(1);
    }

    [Theory]
    [InlineData(360, ColorScheme.Light)]
    [InlineData(360, ColorScheme.Dark)]
    [InlineData(1280, ColorScheme.Dark)]
    public async Task It_fits_phones_and_both_colour_schemes_are_readable(int width, ColorScheme scheme)
    {
        await using var server = await TestServer.StartAsync([TestServer.Served("a-model-with-a-rather-long-name", new FakeLadderModel()), TestServer.Served("other", FakeModel.Babbling())]);
        await using var view = await OpenAsync(server, width, scheme);
        await view.Page.Locator("#compare").SelectOptionAsync("other");
        await view.Page.Locator("summary").ClickAsync();
        await RunAsync(view.Page, 2);
        Assert.Equal(0, await view.Page.EvaluateAsync<int>("document.documentElement.scrollWidth - innerWidth > 0 ? 1 : 0"));
        // WCAG AA: 4.5 between text and its ground, measured on what the browser resolved the colours to.
        Assert.InRange(await view.Page.EvaluateAsync<double>(Contrast, "body"), 4.5, 21);
        Assert.InRange(await view.Page.EvaluateAsync<double>(Contrast, "article .given"), 4.5, 21);
        Assert.InRange(await view.Page.EvaluateAsync<double>(Contrast, "#run"), 4.5, 21);
    }

    [Fact]
    public async Task Errors_are_told_and_a_key_mends_a_closed_door()
    {
        await using var server = await TestServer.StartAsync(FakeModel.Babbling(60), options => options with { ApiKeys = ["the-right-key"] });
        await using var view = await OpenAsync(server, allowsErrors: true);
        await Assertions.Expect(view.Page.Locator("#message")).ToContainTextAsync("The API key is missing");
        // A click says so again, instead of failing over what is not there.
        await view.Page.Locator("#run").ClickAsync();
        await Assertions.Expect(view.Page.Locator("#message")).ToContainTextAsync("The API key is missing");
        await view.Page.Locator("#key").FillAsync("the-right-key");
        await view.Page.Locator("#key").BlurAsync();
        await Assertions.Expect(view.Page.Locator("#message")).ToBeHiddenAsync();
        await view.Page.Locator("#prompt").FillAsync(new string('x', 70));
        await view.Page.Locator("#run").ClickAsync();
        await Assertions.Expect(view.Page.Locator("#message")).ToContainTextAsync("context holds 60 tokens");
        await Assertions.Expect(view.Page.Locator("article .stats")).ToContainTextAsync("failed");
    }

    private const string Contrast = """
        selector => {
          const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
          const luminance = colour => {
            canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
            const [r, g, b] = [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3).map(v => v / 255).map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4);
            return .2126 * r + .7152 * g + .0722 * b;
          };
          let element = document.querySelector(selector), ground = element;
          while (getComputedStyle(ground).backgroundColor === 'rgba(0, 0, 0, 0)') ground = ground.parentElement;
          const [a, b] = [luminance(getComputedStyle(element).color), luminance(getComputedStyle(ground).backgroundColor)];
          return (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
        }
        """;

    /// <summary>Presses the button and waits for all panels.</summary>
    internal static async Task RunAsync(IPage page, int panels = 1)
    {
        await page.Locator("#run").ClickAsync();
        await Assertions.Expect(page.Locator("article:not(.busy)")).ToHaveCountAsync(panels, new() { Timeout = 20000 });
    }

    private Task<PageView> OpenAsync(TestServer server, int width = 1280, ColorScheme scheme = ColorScheme.Light, bool allowsErrors = false) =>
        PageView.OpenAsync(_chromium, server.Address, width, scheme, allowsErrors);
}
